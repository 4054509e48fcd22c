// EDM's augmentation: random flips and one random affine map a picture, and labels that tell the
// network what was done, so that it need not paint it. Karras et al., "Elucidating the Design Space
// of Diffusion-Based Generative Models" (2022), appendix F.2; filters from StyleGAN2-ADA.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace tenon::data {

// A transformation is drawn with probability min(1, multiplier * p); 0 switches it off and takes
// its labels away.
struct AugmentConfig {
  double p = 0.12;
  double xflip = 1e8, yflip = 1, scale = 1, rotate = 1, aniso = 1, translate = 1;
  double scale_std = 0.2;          // log2 of the factor
  double rotate_max = 1;           // in units of pi
  double aniso_std = 0.2;          // log2 of the factor
  double aniso_rotate_prob = 0.5;  // that the stretch has a random axis
  double translate_std = 0.125;    // in units of the picture's size

  // Labels a picture, in this order: xflip, yflip, scale, rotation (cos - 1, sin), stretch (along
  // the axis: cos, sin), translation (x, y).
  int label_dim() const;
};

// The random numbers of one picture: u_* uniform in [0, 1), n_* standard normal.
struct AugmentDraws {
  float u_x = 0, u_xbit = 0, u_y = 0, u_ybit = 0;
  float u_scale = 0, n_scale = 0;
  float u_rot = 0, u_rotv = 0;
  float u_aniso = 0, n_aniso = 0, u_anisorot = 0, u_anisov = 0;
  float u_trans = 0, n_trans_x = 0, n_trans_y = 0;
};

// Pure functions of (seed, position in the stream of samples): the same for any batch size, rank or
// thread count.
AugmentDraws draw_augment(std::uint64_t seed, std::int64_t position);
std::vector<AugmentDraws> draw_augment(std::uint64_t seed, std::span<const std::int64_t> positions);

struct ImageShape {
  std::int64_t n = 0, channels = 0, height = 0, width = 0;
};

// in, out: [n, C, H, W]; labels: [n, label_dim()]. in and out may not overlap. The border that is
// mirrored around the pictures is as wide as the largest motion of the whole batch needs, so in
// rare cases (motion by more than a picture) a picture depends on the others of its batch, as in
// EDM.
void augment(std::span<const float> in, const ImageShape& shape,
             std::span<const AugmentDraws> draws, const AugmentConfig& config, std::span<float> out,
             std::span<float> labels);

}  // namespace tenon::data
