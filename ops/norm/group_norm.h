// Group normalisation (Wu and He, arXiv 1803.08494) with what a U-Net block does around it, in one
// pass over memory each way.
//
//   z = gamma (x + shift - mean) rstd + beta        mean, rstd over each group of channels
//   y = dropout(silu(z))                            silu and dropout where the attributes ask
//
// x [N, C, ...] (rank 2 to 4; row-major or channels-last), gamma and beta [C] (both or neither),
// shift [N, C] or undefined. Dropout keeps element i of an image with probability 1 - p, by Philox
// word i of row n under `key`, where i counts in the order (pixel, channel): the mask does not
// depend on memory order, threads or ranks. For backward only mean and rstd are kept besides the
// inputs.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

struct GroupNormAttrs {
  int64_t groups = 1;
  double eps = 1e-5;
  bool silu = false;
  double dropout = 0;  // probability of zero, in [0, 1)
  uint64_t key = 0;    // RngKey::bits
};

struct GroupNorm {
  using Attrs = GroupNormAttrs;
  static constexpr OpTraits traits{.name = "group_norm",
                                   .inputs = 4,
                                   .optional_inputs = 0b1110,
                                   .extras = 2,
                                   .saved_inputs = 0b1111,
                                   .saved_outputs = 0b110,
                                   .mixed_dtype = 0b1110,
                                   .differentiable = Differentiable::FirstOrder,
                                   .layout = Layout::Image};
  static Metas infer(const Attrs& a,
                     Inputs in);  // x, gamma, beta, shift -> y; mean, rstd [N, groups]
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// Inputs: g, x, gamma, beta, shift, mean, rstd; outputs: dx, dgamma [C], dbeta [C], dshift [N, C].
struct GroupNormBackward {
  using Attrs = GroupNormAttrs;
  static constexpr OpTraits traits{.name = "group_norm_backward",
                                   .inputs = 7,
                                   .optional_inputs = 0b11100,
                                   .outputs = 4,
                                   .mixed_dtype = 0b1111100,
                                   .differentiable = Differentiable::None,
                                   .layout = Layout::Image};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};

// gamma and beta may be undefined, so may shift. Parameters may be f32 beside a 2-byte x.
Tensor group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const GroupNormAttrs& attrs, const Tensor& shift = {});

// The multiplier that dropout gives element `index` of row `row`: 0 or 1 / (1 - p).
double dropout_factor(uint64_t key, uint64_t row, uint64_t index, double p);

// Type of statistics and parameter gradients beside an x of this type.
inline DType statistics_dtype(DType x) {
  return x == DType::f64 ? DType::f64 : DType::f32;
}

}  // namespace tenon
