#include "models/qac/precond.h"

#include "ops/ops.h"

namespace tenon::qac {

Tensor denoise(const SongUNet& net, const Tensor& x, const Tensor& sigma, const Tensor& labels,
               const Tensor& augment, RngKey key) {
  check(sigma.rank() == 1 && sigma.size(0) == x.size(0), ErrorKind::Usage,
        "denoise: sigma {} for images {}", sigma.describe(), x.describe());
  constexpr double sd2 = kSigmaData * kSigmaData;
  const Tensor total = affine(square(sigma), 1, sd2);  // s^2 + sd^2
  const Tensor c_in = rsqrt(total);
  const Tensor c_skip = affine(reciprocal(total), sd2, 0);
  const Tensor c_out = affine(mul(sigma, c_in), kSigmaData, 0);
  const Tensor c_noise = affine(log(sigma), 0.25, 0);
  const Dims per_image = {x.size(0), 1, 1, 1};
  const Tensor image = channels_last(x);
  Tensor f = net.forward(mul(image, reshape(c_in, per_image)), c_noise, labels, augment, key);
  f = cast(f, x.dtype());
  return add(mul(image, reshape(c_skip, per_image)), mul(f, reshape(c_out, per_image)));
}

Tensor noise_levels(const Tensor& normals, const NoiseDistribution& p) {
  return exp(affine(normals, p.std, p.mean));
}

Tensor edm_loss_sum(const Tensor& denoised, const Tensor& images, const Tensor& sigma) {
  constexpr double sd2 = kSigmaData * kSigmaData;
  const Tensor s2 = square(sigma);
  const Tensor weight = div(affine(s2, 1, sd2), affine(s2, sd2, 0));
  return weighted_mse(denoised, images, weight);
}

}  // namespace tenon::qac
