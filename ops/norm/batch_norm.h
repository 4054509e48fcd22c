// Batch normalisation (Ioffe and Szegedy, arXiv 1502.03167).
//
// x [N, C, ...] (rank 2 to 4), gamma and beta [C] (both or neither). In training the statistics are
// those of the batch, and running_mean and running_var [C] move toward them in place:
//   running = (1 - momentum) running + momentum batch     (the variance with count / (count - 1))
// In evaluation the running statistics are used, and nothing changes.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

// The training form: inputs x, gamma, beta, running_mean, running_var (the last two may be
// undefined) -> y; mean, rstd [C].
struct BatchNorm {
  struct Attrs {
    double eps = 1e-5;
    double momentum = 0.1;
  };
  static constexpr OpTraits traits{.name = "batch_norm",
                                   .inputs = 5,
                                   .optional_inputs = 0b11110,
                                   .extras = 2,
                                   .saved_inputs = 0b00011,
                                   .saved_outputs = 0b110,
                                   .mutates = 0b11000,
                                   .mixed_dtype = 0b11110,
                                   .differentiable = Differentiable::FirstOrder,
                                   .layout = Layout::Image};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// Inputs: g, x, gamma, mean, rstd; outputs: dx, dgamma [C], dbeta [C].
struct BatchNormBackward {
  struct Attrs {};
  static constexpr OpTraits traits{.name = "batch_norm_backward",
                                   .inputs = 5,
                                   .optional_inputs = 0b00100,
                                   .outputs = 3,
                                   .mixed_dtype = 0b11100,
                                   .differentiable = Differentiable::None,
                                   .layout = Layout::Image};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};

Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const Tensor& running_mean, const Tensor& running_var, bool training,
                  double momentum = 0.1, double eps = 1e-5);

}  // namespace tenon
