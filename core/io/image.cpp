#include "core/io/image.h"

#include <algorithm>
#include <cctype>

#include "core/io/jpeg.h"
#include "core/io/png.h"

namespace tenon::io {

Image decode_image(ByteView bytes, const std::string& name, const ImageLimits& limits) {
  if (is_png(bytes)) return decode_png(bytes, name, limits);
  if (is_jpeg(bytes)) return decode_jpeg(bytes, name, limits);
  throw_error(ErrorKind::Data, "{}: {}", name,
              bytes.empty() ? "the file is empty, want a PNG or JPEG picture"
                            : "neither a PNG nor a JPEG picture");
}

bool is_image_name(std::string_view name) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return false;
  std::string extension(name.substr(dot + 1));
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == "png" || extension == "jpg" || extension == "jpeg";
}

void check_image_size(std::uint64_t width, std::uint64_t height, const std::string& name,
                      const ImageLimits& limits) {
  const auto side = static_cast<std::uint64_t>(limits.max_side);
  check(width > 0 && height > 0, ErrorKind::Data, "{}: a picture of {}x{} pixels", name, width,
        height);
  check(width <= side && height <= side && width * height <= limits.max_pixels, ErrorKind::Data,
        "{}: a picture of {}x{} pixels, the limit is {} a side and {} in all", name, width, height,
        side, limits.max_pixels);
}

}  // namespace tenon::io
