#include "datasets/affine_resample.h"

#include <algorithm>
#include <cmath>

namespace tenon::data {
namespace {

// Low-pass of the symlet with six vanishing moments.
constexpr float kTaps[12] = {0.015404109327027373f, 0.0034907120842174702f, -0.11799011114819057f,
                             -0.048311742585633f,   0.4910559419267466f,    0.787641141030194f,
                             0.3379294217276218f,   -0.07263752278646252f,  -0.021060292512300564f,
                             0.04472490177066578f,  0.0017677118642428036f, -0.007800708325034148f};
constexpr std::int64_t kBorder = 3;  // pixels a side by which the sampled grid is larger

// The six taps that meet a pixel of the original for even (0) or odd (1) places of the doubled
// line; the filter runs time-reversed on the way up.
constexpr float up_tap(int phase, int m) {
  return kTaps[11 - (2 * m + phase)];
}

// Mirror without repeating the edge; i is at most one picture outside.
std::int64_t mirrored(std::int64_t i, std::int64_t n) {
  if (i < 0) return -i;
  return i >= n ? 2 * (n - 1) - i : i;
}

// out[i] = sum over m of taps[m] * in[i + m]
void filter6(const float* in, const float* taps, std::int64_t n, float* out) {
#pragma omp simd
  for (std::int64_t i = 0; i < n; ++i)
    out[i] = taps[0] * in[i] + taps[1] * in[i + 1] + taps[2] * in[i + 2] + taps[3] * in[i + 3] +
             taps[4] * in[i + 4] + taps[5] * in[i + 5];
}

struct PhaseTaps {
  float even[6], odd[6];
};
constexpr PhaseTaps kUp = [] {
  PhaseTaps t{};
  for (int m = 0; m < 6; ++m) {
    t.even[m] = up_tap(0, m);
    t.odd[m] = up_tap(1, m);
  }
  return t;
}();
constexpr PhaseTaps kDown = [] {
  PhaseTaps t{};
  for (int m = 0; m < 6; ++m) {
    t.even[m] = kTaps[2 * m];
    t.odd[m] = kTaps[2 * m + 1];
  }
  return t;
}();

}  // namespace

Affine operator*(const Affine& a, const Affine& b) {
  return {a.xx * b.xx + a.xy * b.yx, a.xx * b.xy + a.xy * b.yy, a.xx * b.x0 + a.xy * b.y0 + a.x0,
          a.yx * b.xx + a.yy * b.yx, a.yx * b.xy + a.yy * b.yy, a.yx * b.x0 + a.yy * b.y0 + a.y0};
}

Margins mirror_margins(std::span<const Affine> maps, std::int64_t height, std::int64_t width) {
  const double cx = static_cast<double>(width - 1) / 2, cy = static_cast<double>(height - 1) / 2;
  constexpr double kNone = -1e300;
  double left = kNone, top = kNone, right = kNone, bottom = kNone;
  for (const Affine& map : maps)
    for (const double sx : {-cx, cx})
      for (const double sy : {-cy, cy}) {
        const double x = map.xx * sx + map.xy * sy + map.x0;
        const double y = map.yx * sx + map.yy * sy + map.y0;
        left = std::max(left, -x), right = std::max(right, x);
        top = std::max(top, -y), bottom = std::max(bottom, y);
      }
  const auto margin = [](double reach, double c, std::int64_t size) {
    return static_cast<std::int64_t>(
        std::ceil(std::clamp(reach + 2 * kBorder - c, 0.0, static_cast<double>(size - 1))));
  };
  return {margin(left, cx, width), margin(top, cy, height), margin(right, cx, width),
          margin(bottom, cy, height)};
}

void AffineResampler::flip(const float* in, Flips flips, float* out) const {
  for (std::int64_t y = 0; y < height_; ++y) {
    const float* from = in + (flips.y ? height_ - 1 - y : y) * width_;
    if (flips.x) {
      std::reverse_copy(from, from + width_, out + y * width_);
    } else {
      std::copy_n(from, width_, out + y * width_);
    }
  }
}

// The part of the doubled picture under the sampled grid, one pixel wider for rounding, cut to what
// exists (outside is zero). x1 < x0 means that the map looks only outside.
AffineResampler::Region AffineResampler::touched(const Affine& map) const {
  const double w = static_cast<double>(2 * width_ + 9), h = static_cast<double>(2 * height_ + 9);
  double x0 = 1e300, y0 = 1e300, x1 = -1e300, y1 = -1e300;
  for (const double u : {0.0, w})
    for (const double v : {0.0, h}) {
      const double x = map.xx * u + map.xy * v + map.x0, y = map.yx * u + map.yy * v + map.y0;
      x0 = std::min(x0, x), x1 = std::max(x1, x);
      y0 = std::min(y0, y), y1 = std::max(y1, y);
    }
  const std::int64_t full_w = 2 * (width_ + margins_.left + margins_.right);
  const std::int64_t full_h = 2 * (height_ + margins_.top + margins_.bottom);
  const auto clip = [](double v, std::int64_t n) {
    return static_cast<std::int64_t>(std::clamp(v, -2.0, static_cast<double>(n) + 1));
  };
  return {std::max<std::int64_t>(0, clip(std::floor(x0) - 1, full_w)),
          std::max<std::int64_t>(0, clip(std::floor(y0) - 1, full_h)),
          std::min(full_w - 1, clip(std::floor(x1) + 2, full_w)),
          std::min(full_h - 1, clip(std::floor(y1) + 2, full_h))};
}

// Fills doubled_ with the region and a border of one zero on each side.
void AffineResampler::upsample(const float* in, Flips flips, const Region& r) {
  const std::int64_t full_w = width_ + margins_.left + margins_.right;
  const std::int64_t full_h = height_ + margins_.top + margins_.bottom;
  // Place o of the doubled line takes places o/2 - 3 .. o/2 + 2 of the mirrored line if o is even,
  // (o+1)/2 - 3 .. (o+1)/2 + 2 if it is odd. Work on whole pairs: places 2a .. 2b + 1.
  const std::int64_t ax = r.x0 / 2, bx = r.x1 / 2, pairs_x = bx - ax + 1;
  const std::int64_t first_row = r.y0 / 2 - 3, last_row = r.y1 / 2 + 3;
  const std::int64_t rows = last_row - first_row + 1;
  const std::int64_t pitch = 2 * pairs_x;

  line_.resize(static_cast<std::size_t>(3 * (pairs_x + 6)));
  float* even = line_.data() + pairs_x + 6;
  float* odd = even + pairs_x;
  wide_.assign(static_cast<std::size_t>(rows * pitch), 0.0f);
  for (std::int64_t row = first_row; row <= last_row; ++row) {
    if (row < 0 || row >= full_h) continue;  // the filter sees zeros beyond the mirrored border
    std::int64_t y = mirrored(row - margins_.top, height_);
    if (flips.y) y = height_ - 1 - y;
    for (std::int64_t i = 0; i < pairs_x + 6; ++i) {
      const std::int64_t place = ax - 3 + i;
      float value = 0;
      if (place >= 0 && place < full_w) {
        std::int64_t x = mirrored(place - margins_.left, width_);
        if (flips.x) x = width_ - 1 - x;
        value = in[y * width_ + x];
      }
      line_[static_cast<std::size_t>(i)] = value;
    }
    filter6(line_.data(), kUp.even, pairs_x, even);
    filter6(line_.data() + 1, kUp.odd, pairs_x, odd);
    float* out = wide_.data() + (row - first_row) * pitch;
    for (std::int64_t i = 0; i < pairs_x; ++i) {
      out[2 * i] = even[i];
      out[2 * i + 1] = odd[i];
    }
  }

  const std::int64_t region_w = r.x1 - r.x0 + 1, region_h = r.y1 - r.y0 + 1;
  const std::int64_t out_pitch = region_w + 2;
  doubled_.assign(static_cast<std::size_t>(out_pitch * (region_h + 2)), 0.0f);
  for (std::int64_t o = r.y0; o <= r.y1; ++o) {
    const std::int64_t start = o % 2 == 0 ? o / 2 - 3 : (o + 1) / 2 - 3;
    const float* taps = o % 2 == 0 ? kUp.even : kUp.odd;
    const float* from = wide_.data() + (start - first_row) * pitch + (r.x0 - 2 * ax);
    float* out = doubled_.data() + (o - r.y0 + 1) * out_pitch + 1;
#pragma omp simd
    for (std::int64_t x = 0; x < region_w; ++x)
      out[x] = taps[0] * from[x] + taps[1] * from[x + pitch] + taps[2] * from[x + 2 * pitch] +
               taps[3] * from[x + 3 * pitch] + taps[4] * from[x + 4 * pitch] +
               taps[5] * from[x + 5 * pitch];
  }
}

// Fills sampled_: (2H + 10) rows; each holds its even places, then its odd ones, so that the filter
// down reads straight lines.
void AffineResampler::sample(const Affine& map, const Region& r) {
  const std::int64_t half = width_ + 5, rows = 2 * height_ + 10, pitch = 2 * half;
  const std::int64_t source_pitch = r.x1 - r.x0 + 3;
  // Clamped into the zero border, a place outside reads zeros only.
  const auto x_max = static_cast<float>(r.x1 - r.x0 + 1),
             y_max = static_cast<float>(r.y1 - r.y0 + 1);
  const auto dx = static_cast<float>(map.xx), dy = static_cast<float>(map.yx);
  sampled_.resize(static_cast<std::size_t>(rows * pitch));
  for (std::int64_t v = 0; v < rows; ++v) {
    const auto row = static_cast<double>(v);
    const auto x_start = static_cast<float>(map.xy * row + map.x0 - static_cast<double>(r.x0 - 1));
    const auto y_start = static_cast<float>(map.yy * row + map.y0 - static_cast<double>(r.y0 - 1));
    float* out = sampled_.data() + v * pitch;
    for (std::int64_t u = 0; u < pitch; ++u) {
      const float x = std::clamp(x_start + static_cast<float>(u) * dx, 0.0f, x_max);
      const float y = std::clamp(y_start + static_cast<float>(u) * dy, 0.0f, y_max);
      const auto ix = static_cast<std::int32_t>(x), iy = static_cast<std::int32_t>(y);
      const float fx = x - static_cast<float>(ix), fy = y - static_cast<float>(iy);
      const float* p = doubled_.data() + iy * source_pitch + ix;
      const float upper = p[0] + fx * (p[1] - p[0]);
      const float lower = p[source_pitch] + fx * (p[source_pitch + 1] - p[source_pitch]);
      out[(u & 1) * half + (u >> 1)] = upper + fy * (lower - upper);
    }
  }
}

void AffineResampler::downsample(float* out) {
  const std::int64_t half = width_ + 5, rows = 2 * height_ + 10;
  narrow_.resize(static_cast<std::size_t>(rows * width_ + width_));
  float* odd = narrow_.data() + rows * width_;
  for (std::int64_t v = 0; v < rows; ++v) {
    const float* from = sampled_.data() + v * 2 * half;
    float* to = narrow_.data() + v * width_;
    filter6(from, kDown.even, width_, to);
    filter6(from + half, kDown.odd, width_, odd);
#pragma omp simd
    for (std::int64_t x = 0; x < width_; ++x) to[x] += odd[x];
  }
  for (std::int64_t y = 0; y < height_; ++y) {
    float* to = out + y * width_;
    std::fill_n(to, width_, 0.0f);
    for (int k = 0; k < 12; ++k) {
      const float* from = narrow_.data() + (2 * y + k) * width_;
#pragma omp simd
      for (std::int64_t x = 0; x < width_; ++x) to[x] += kTaps[k] * from[x];
    }
  }
}

void AffineResampler::run(const float* in, Flips flips, const Affine& map, float* out) {
  const auto half = [](std::int64_t n) { return static_cast<double>(n) / 2; };
  const std::int64_t full_w = width_ + margins_.left + margins_.right;
  const std::int64_t full_h = height_ + margins_.top + margins_.bottom;
  const Affine shift{1, 0, half(margins_.left - margins_.right),
                     0, 1, half(margins_.top - margins_.bottom)};
  // The map between the doubled grids, each with its origin in the middle ...
  Affine m = Affine{2, 0, -0.5, 0, 2, -0.5} * shift * map * Affine{0.5, 0, 0.25, 0, 0.5, 0.25};
  // ... and between pixel numbers: the sampled grid has 2 (W + 6) places a row, of which the filter
  // down needs 1 .. 2W + 10.
  const double out_x = 1.5 - static_cast<double>(width_ + 2 * kBorder);
  const double out_y = 1.5 - static_cast<double>(height_ + 2 * kBorder);
  m = Affine{1, 0, static_cast<double>(full_w) - 0.5, 0, 1, static_cast<double>(full_h) - 0.5} * m *
      Affine{1, 0, out_x, 0, 1, out_y};
  const Region region = touched(m);
  if (region.x1 < region.x0 || region.y1 < region.y0) {
    std::fill_n(out, height_ * width_, 0.0f);
    return;
  }
  upsample(in, flips, region);
  sample(m, region);
  downsample(out);
}

}  // namespace tenon::data
