// EDM preconditioning (arXiv 2206.00364, table 1) around a SongUNet, and its training loss.
#pragma once

#include "models/qac/song_unet.h"

namespace tenon::qac {

inline constexpr double kSigmaData = 0.5;

// D(x; s, c, a) = c_skip x + c_out F(c_in x; c_noise, c, a). x [N, C, R, R] f32, sigma [N] f32,
// labels [N, label_dim] or undefined, augment [N, augment_dim] or undefined. The result is f32
// whatever the network computes in.
Tensor denoise(const SongUNet& net, const Tensor& x, const Tensor& sigma, const Tensor& labels,
               const Tensor& augment, RngKey key);

struct NoiseDistribution {
  double mean = -1.2, std = 1.2;  // of ln sigma
};
// exp(mean + std n), elementwise.
Tensor noise_levels(const Tensor& normals, const NoiseDistribution& p = {});

// sum over images n and pixels of w(sigma_n) (D_n - y_n)^2, w(s) = (s^2 + sd^2) / (s sd)^2; a 0-dim
// tensor. Divide by the number of images of the whole batch for the loss (spec section 3).
Tensor edm_loss_sum(const Tensor& denoised, const Tensor& images, const Tensor& sigma);

}  // namespace tenon::qac
