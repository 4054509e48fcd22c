#include "datasets/transforms.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace tenon::data {
namespace {

using io::Image;

std::size_t index(const Image& image, int x, int y) {
  return (static_cast<std::size_t>(y) * static_cast<std::size_t>(image.width) +
          static_cast<std::size_t>(x)) *
         static_cast<std::size_t>(image.channels);
}

Image blank(int width, int height, int channels) {
  return {width, height, channels,
          io::ByteBuffer(static_cast<std::size_t>(width) * static_cast<std::size_t>(height) *
                         static_cast<std::size_t>(channels))};
}

// Copies the overlap of both pictures; (dx, dy) is where `in`'s corner lands in the result.
Image place(const Image& in, int width, int height, int dx, int dy) {
  Image out = blank(width, height, in.channels);
  const int x0 = std::max(0, dx), x1 = std::min(width, in.width + dx);
  for (int y = std::max(0, dy); y < std::min(height, in.height + dy); ++y)
    if (x1 > x0)
      std::copy_n(in.pixels.begin() + static_cast<std::ptrdiff_t>(index(in, x0 - dx, y - dy)),
                  (x1 - x0) * in.channels,
                  out.pixels.begin() + static_cast<std::ptrdiff_t>(index(out, x0, y)));
  return out;
}

Image with_channels(Image in, int channels) {
  if (channels == 0 || channels == in.channels) return in;
  Image out = blank(in.width, in.height, channels);
  const std::size_t n = in.pixels.size() / static_cast<std::size_t>(in.channels);
  for (std::size_t i = 0; i < n; ++i) {
    if (channels == 3) {
      std::fill_n(out.pixels.begin() + static_cast<std::ptrdiff_t>(3 * i), 3, in.pixels[i]);
    } else {  // the fixed-point luma of PIL and libjpeg
      const std::uint8_t* p = &in.pixels[3 * i];
      out.pixels[i] =
          static_cast<std::uint8_t>((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
    }
  }
  return out;
}

// One axis of the filter: for each output position where its window starts and the weights.
struct Window {
  int first = 0;
  std::vector<std::int32_t> weights;  // times 2^22
};

constexpr int kBits = 22;

double lanczos3(double x) {
  if (x == 0) return 1;
  if (x <= -3 || x >= 3) return 0;
  const double a = x * std::numbers::pi;
  return 3 * std::sin(a) * std::sin(a / 3) / (a * a);
}

// As PIL's precompute_coeffs: antialiasing widens the window by the factor of reduction.
std::vector<Window> lanczos_windows(int in, int out) {
  const double scale = static_cast<double>(in) / out;
  const double widen = std::max(scale, 1.0);
  const double support = 3 * widen;
  std::vector<Window> windows(static_cast<std::size_t>(out));
  for (int i = 0; i < out; ++i) {
    const double center = (i + 0.5) * scale;
    const int first = std::max(0, static_cast<int>(center - support + 0.5));
    const int last = std::min(in, static_cast<int>(center + support + 0.5));
    std::vector<double> weights;
    double sum = 0;
    for (int x = first; x < last; ++x) {
      weights.push_back(lanczos3((x - center + 0.5) / widen));
      sum += weights.back();
    }
    Window& window = windows[static_cast<std::size_t>(i)];
    window.first = first;
    for (const double w : weights)
      window.weights.push_back(static_cast<std::int32_t>(std::lround(w / sum * (1 << kBits))));
  }
  return windows;
}

// Weighted sum of samples `stride` apart, rounded and clipped.
std::uint8_t filtered(const std::uint8_t* p, std::size_t stride, const Window& window) {
  std::int64_t sum = 1 << (kBits - 1);
  for (const std::int32_t w : window.weights) {
    sum += static_cast<std::int64_t>(w) * *p;
    p += stride;
  }
  return static_cast<std::uint8_t>(std::clamp<std::int64_t>(sum >> kBits, 0, 255));
}

}  // namespace

Image resize_lanczos(const Image& in, int width, int height) {
  const auto c = static_cast<std::size_t>(in.channels);
  Image wide = in;
  if (width != in.width) {
    wide = blank(width, in.height, in.channels);
    const std::vector<Window> windows = lanczos_windows(in.width, width);
    for (int y = 0; y < in.height; ++y)
      for (int x = 0; x < width; ++x)
        for (std::size_t k = 0; k < c; ++k) {
          const Window& w = windows[static_cast<std::size_t>(x)];
          wide.pixels[index(wide, x, y) + k] =
              filtered(in.pixels.data() + index(in, w.first, y) + k, c, w);
        }
  }
  if (height == in.height) return wide;
  Image out = blank(width, height, in.channels);
  const std::vector<Window> windows = lanczos_windows(in.height, height);
  const std::size_t row = static_cast<std::size_t>(width) * c;
  for (int y = 0; y < height; ++y) {
    const Window& w = windows[static_cast<std::size_t>(y)];
    for (std::size_t i = 0; i < row; ++i)
      out.pixels[static_cast<std::size_t>(y) * row + i] =
          filtered(wide.pixels.data() + static_cast<std::size_t>(w.first) * row + i, row, w);
  }
  return out;
}

Image resize_average(const Image& in, int width, int height) {
  TENON_ASSERT(in.width % width == 0 && in.height % height == 0);
  const int fx = in.width / width, fy = in.height / height;
  const auto area = static_cast<std::uint64_t>(fx) * static_cast<std::uint64_t>(fy);
  Image out = blank(width, height, in.channels);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int k = 0; k < in.channels; ++k) {
        std::uint64_t sum = area / 2;
        for (int v = 0; v < fy; ++v)
          for (int u = 0; u < fx; ++u)
            sum += in.pixels[index(in, x * fx + u, y * fy + v) + static_cast<std::size_t>(k)];
        out.pixels[index(out, x, y) + static_cast<std::size_t>(k)] =
            static_cast<std::uint8_t>(sum / area);
      }
  return out;
}

Image fit_image(Image image, const FitOptions& options, const std::string& name) {
  image = with_channels(std::move(image), options.channels);
  if (options.center_crop && image.width != image.height) {
    const int side = std::min(image.width, image.height);
    image = place(image, side, side, -((image.width - side) / 2), -((image.height - side) / 2));
  }
  const int r = options.resolution;
  if (r == 0 || (image.width == r && image.height == r)) return image;
  if (image.width != image.height)
    throw_hint(ErrorKind::Data, "cut the centre square out of each picture: center-crop",
               "{}: a picture of {}x{} pixels, want a square one to bring it to {}x{}", name,
               image.width, image.height, r, r);
  const int side = image.width;
  if (side < r && options.pad) return place(image, r, r, (r - side) / 2, (r - side) / 2);
  const bool whole = side % r == 0;
  check(options.resample != Resample::Average || whole, ErrorKind::Usage,
        "{}: averaging {}x{} down to {}x{} needs a whole factor", name, side, side, r, r);
  if (options.resample == Resample::Lanczos || !whole) return resize_lanczos(image, r, r);
  return resize_average(image, r, r);
}

void to_chw(const Image& image, std::span<std::uint8_t> chw) {
  TENON_ASSERT(chw.size() == image.pixels.size());
  const auto c = static_cast<std::size_t>(image.channels);
  if (c == 1) {
    std::copy(image.pixels.begin(), image.pixels.end(), chw.begin());
    return;
  }
  const std::size_t plane = chw.size() / c;
  for (std::size_t k = 0; k < c; ++k)
    for (std::size_t i = 0; i < plane; ++i) chw[k * plane + i] = image.pixels[i * c + k];
}

Image from_chw(std::span<const std::uint8_t> chw, int channels, int height, int width) {
  Image image = blank(width, height, channels);
  TENON_ASSERT(chw.size() == image.pixels.size());
  const auto c = static_cast<std::size_t>(channels);
  const std::size_t plane = chw.size() / c;
  for (std::size_t k = 0; k < c; ++k)
    for (std::size_t i = 0; i < plane; ++i) image.pixels[i * c + k] = chw[k * plane + i];
  return image;
}

void to_network_scale(std::span<const std::uint8_t> bytes, std::span<float> out) {
  static const std::array<float, 256> table = [] {
    std::array<float, 256> t{};
    for (std::size_t v = 0; v < t.size(); ++v)
      t[v] = static_cast<float>(static_cast<double>(v) / 127.5 - 1.0);
    return t;
  }();
  TENON_ASSERT(bytes.size() == out.size());
  for (std::size_t i = 0; i < bytes.size(); ++i) out[i] = table[bytes[i]];
}

void flip_x(std::span<std::uint8_t> chw, int width) {
  const auto row = static_cast<std::size_t>(width);
  for (std::size_t at = 0; at + row <= chw.size(); at += row)
    std::reverse(chw.begin() + static_cast<std::ptrdiff_t>(at),
                 chw.begin() + static_cast<std::ptrdiff_t>(at + row));
}

}  // namespace tenon::data
