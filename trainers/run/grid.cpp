#include "trainers/run/grid.h"

#include <algorithm>
#include <cmath>

#include "core/io/file.h"
#include "core/io/png.h"

namespace tenon::run {

io::Image make_grid(const std::vector<std::uint8_t>& pixels, int n, int height, int width,
                    int channels, int columns) {
  constexpr int gap = 2;
  check(n > 0 && height > 0 && width > 0 && (channels == 1 || channels == 3), ErrorKind::Usage,
        "grid: {} pictures of {}x{} with {} channels cannot be drawn", n, width, height, channels);
  const std::size_t row_bytes =
      static_cast<std::size_t>(width) * static_cast<std::size_t>(channels);
  const std::size_t picture = row_bytes * static_cast<std::size_t>(height);
  check(pixels.size() == picture * static_cast<std::size_t>(n), ErrorKind::Usage,
        "grid: got {} bytes, want {} for {} pictures of {}x{}x{}", pixels.size(),
        picture * static_cast<std::size_t>(n), n, height, width, channels);
  if (columns <= 0) columns = static_cast<int>(std::ceil(std::sqrt(static_cast<double>(n))));
  columns = std::min(columns, n);
  const int rows = (n + columns - 1) / columns;

  io::Image grid;
  grid.width = columns * (width + gap) - gap;
  grid.height = rows * (height + gap) - gap;
  grid.channels = channels;
  const std::size_t stride =
      static_cast<std::size_t>(grid.width) * static_cast<std::size_t>(channels);
  grid.pixels.assign(stride * static_cast<std::size_t>(grid.height), 255);
  for (int i = 0; i < n; ++i) {
    const std::size_t left = static_cast<std::size_t>(i % columns * (width + gap) * channels);
    const std::size_t top = static_cast<std::size_t>(i / columns * (height + gap));
    for (std::size_t y = 0; y < static_cast<std::size_t>(height); ++y)
      std::copy_n(pixels.data() + static_cast<std::size_t>(i) * picture + y * row_bytes, row_bytes,
                  grid.pixels.data() + (top + y) * stride + left);
  }
  return grid;
}

void write_grid(const std::filesystem::path& file, const io::Image& grid,
                const std::map<std::string, std::string>& text) {
  io::PngOptions options;
  options.text = text;
  io::write_file_atomic(file, io::encode_png(grid, options));
}

}  // namespace tenon::run
