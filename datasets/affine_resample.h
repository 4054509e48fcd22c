// Affine maps of pictures without aliasing: mirror the border, double the resolution with the sym6
// wavelet's low-pass, sample bilinearly, halve the resolution with the same filter.
// (Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, appendix B.)
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tenon::data {

// (x, y) -> (xx x + xy y + x0, yx x + yy y + y0).
struct Affine {
  double xx = 1, xy = 0, x0 = 0;
  double yx = 0, yy = 1, y0 = 0;
};
// First b, then a.
Affine operator*(const Affine& a, const Affine& b);

struct Margins {
  std::int64_t left = 0, top = 0, right = 0, bottom = 0;
};
// How many mirrored pixels a batch with these maps needs around its pictures.
Margins mirror_margins(std::span<const Affine> maps, std::int64_t height, std::int64_t width);

struct Flips {
  bool x = false, y = false;
};

// Works on planes [H, W]. Holds the scratch memory, so use one per thread.
class AffineResampler {
 public:
  AffineResampler(std::int64_t height, std::int64_t width, const Margins& margins)
      : height_(height), width_(width), margins_(margins) {}

  void flip(const float* in, Flips flips, float* out) const;
  // `map` takes the result's pixels to the picture's, both with the origin in the middle. Only the
  // part of the doubled picture that the map touches is computed.
  void run(const float* in, Flips flips, const Affine& map, float* out);

 private:
  // A range of pixels of the doubled picture, [x0, x1] x [y0, y1].
  struct Region {
    std::int64_t x0, y0, x1, y1;
  };
  Region touched(const Affine& doubled) const;
  void upsample(const float* in, Flips flips, const Region& region);
  void sample(const Affine& doubled, const Region& region);
  void downsample(float* out);

  std::int64_t height_, width_;
  Margins margins_;
  std::vector<float> line_, wide_, doubled_, sampled_, narrow_;
};

}  // namespace tenon::data
