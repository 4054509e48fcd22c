// Normalisation of each row (the last axis): layer norm (Ba, Kiros and Hinton, arXiv 1607.06450)
// and RMS norm (Zhang and Sennrich, arXiv 1910.07467).
//
//   layer_norm: y = gamma (x - mean) rstd + beta,  rstd = 1 / sqrt(variance + eps)
//   rms_norm:   y = gamma x rstd,                  rstd = 1 / sqrt(mean of squares + eps)
//
// x [..., D], gamma and beta [D]; each of them may be undefined. Statistics are kept per row, in
// f32 (f64 beside f64). Parameters may be f32 beside a 2-byte x.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

struct RowNormAttrs {
  double eps = 1e-5;
};

struct LayerNorm {
  using Attrs = RowNormAttrs;
  static constexpr OpTraits traits{.name = "layer_norm",
                                   .inputs = 3,
                                   .optional_inputs = 0b110,
                                   .extras = 2,
                                   .saved_inputs = 0b011,
                                   .saved_outputs = 0b110,
                                   .mixed_dtype = 0b110,
                                   .differentiable = Differentiable::FirstOrder};
  static Metas infer(const Attrs& a, Inputs in);  // x, gamma, beta -> y; mean, rstd [...]
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

struct RmsNorm {
  using Attrs = RowNormAttrs;
  static constexpr OpTraits traits{.name = "rms_norm",
                                   .inputs = 2,
                                   .optional_inputs = 0b10,
                                   .extras = 1,
                                   .saved_inputs = 0b11,
                                   .saved_outputs = 0b10,
                                   .mixed_dtype = 0b10,
                                   .differentiable = Differentiable::FirstOrder};
  static Metas infer(const Attrs& a, Inputs in);  // x, gamma -> y; rstd [...]
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// Inputs: g, x, gamma, mean, rstd (gamma may be undefined; so may mean, which makes it that of
// rms_norm). Outputs: dx, dgamma [D], dbeta [D].
struct RowNormBackward {
  struct Attrs {};
  static constexpr OpTraits traits{.name = "row_norm_backward",
                                   .inputs = 5,
                                   .optional_inputs = 0b01100,
                                   .outputs = 3,
                                   .mixed_dtype = 0b11100,
                                   .differentiable = Differentiable::None};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};

Tensor layer_norm(const Tensor& x, const Tensor& gamma = {}, const Tensor& beta = {},
                  double eps = 1e-5);
Tensor rms_norm(const Tensor& x, const Tensor& gamma = {}, double eps = 1e-6);

}  // namespace tenon
