// Optimizer steps in place on flat buffers: all parameters of a model are one 1-D tensor of f32 or
// f64 (models/nn/flat.h), so a step over any number of parameters is one pass over memory.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

struct AdamAttrs {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0;
  bool decoupled = false;  // AdamW: weight decay outside the moments
  int64_t step = 1;        // number of this step, from 1: bias correction
  double grad_scale = 1;   // the gradient is multiplied by it first (clipping, loss scale)
  // Gradients of NaN count as 0, of +-infinity as +-1e5 (EDM's nan_to_num), after scaling.
  bool replace_nonfinite = false;
  double ema_beta = 0;  // with an ema buffer: ema = ema * ema_beta + param * (1 - ema_beta)
};

// Inputs: param, grad, m, v and ema (optional), one shape [n] and dtype; all but grad are changed.
//   g = grad (+ weight_decay param)      Kingma and Ba, arXiv 1412.6980, as PyTorch has it
//   m = m + (1 - beta1) (g - m),  v = beta2 v + (1 - beta2) g^2
//   param = param (1 - lr weight_decay)  when decoupled, arXiv 1711.05101
//   param = param - lr / (1 - beta1^step) m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
struct AdamStep {
  using Attrs = AdamAttrs;
  static constexpr OpTraits traits{.name = "adam_step",
                                   .inputs = 5,
                                   .optional_inputs = 0b10000,
                                   .outputs = 0,
                                   .mutates = 0b11101,
                                   .differentiable = Differentiable::None};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};
inline void adam_step(const Tensor& param, const Tensor& grad, const Tensor& m, const Tensor& v,
                      const AdamAttrs& attrs, const Tensor& ema = {}) {
  apply<AdamStep>(attrs, {param, grad, m, v, ema});
}

struct SgdAttrs {
  double lr = 1e-2, momentum = 0, weight_decay = 0;
  bool nesterov = false;
  double grad_scale = 1;
  bool replace_nonfinite = false;
};

// Inputs: param, grad, velocity (needed with momentum). As PyTorch's SGD with dampening 0 and a
// velocity that starts at zero:
//   g = grad + weight_decay param,  velocity = momentum velocity + g
//   param = param - lr (nesterov ? g + momentum velocity : velocity)
struct SgdStep {
  using Attrs = SgdAttrs;
  static constexpr OpTraits traits{.name = "sgd_step",
                                   .inputs = 3,
                                   .optional_inputs = 0b100,
                                   .outputs = 0,
                                   .mutates = 0b101,
                                   .differentiable = Differentiable::None};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};
inline void sgd_step(const Tensor& param, const Tensor& grad, const Tensor& velocity,
                     const SgdAttrs& attrs) {
  apply<SgdStep>(attrs, {param, grad, velocity});
}

// ema = ema * beta + param * (1 - beta); beta = 0 copies, whatever ema held before.
struct EmaStep {
  struct Attrs {
    double beta = 0.999;
  };
  static constexpr OpTraits traits{.name = "ema_step",
                                   .inputs = 2,
                                   .outputs = 0,
                                   .mutates = 0b1,
                                   .differentiable = Differentiable::None};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};
inline void ema_step(const Tensor& ema, const Tensor& param, double beta) {
  apply<EmaStep>({beta}, {ema, param});
}

// flat *= factor.
struct ScaleInPlace {
  struct Attrs {
    double factor = 1;
  };
  static constexpr OpTraits traits{
      .name = "scale_", .outputs = 0, .mutates = 0b1, .differentiable = Differentiable::None};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};
inline void scale_(const Tensor& flat, double factor) {
  apply<ScaleInPlace>({factor}, {flat});
}

// Sum of squares as a 0-dim f64 tensor, summed in double over fixed pieces: the same bits for any
// number of threads. Not finite where an element is not.
struct SumOfSquares {
  struct Attrs {};
  static constexpr OpTraits traits{.name = "sum_of_squares",
                                   .differentiable = Differentiable::None};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};
inline Tensor sum_of_squares(const Tensor& flat) {
  return apply<SumOfSquares>({}, {flat})[0];
}
// The Euclidean norm of a flat gradient, on the host.
double grad_norm(const Tensor& flat);

}  // namespace tenon
