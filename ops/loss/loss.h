// Losses, each one kernel forward and one backward.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

enum class Reduction : uint8_t { None, Sum, Mean };

// (logits [N, C], target i64 [N]): with p = softmax(logits) by row,
//   loss_n = -(1 - s) log p[n, target_n] - s / C sum_c log p[n, c],  s = label_smoothing.
// Rows whose target is ignore_index give 0 and no gradient. Mean divides by the number of other
// rows, and is 0 without any. Result: [N] or a scalar, f32 for the 2-byte types. Keeps the log-sum
// of each row for backward, not the probabilities.
struct CrossEntropy {
  struct Attrs {
    int64_t ignore_index = -100;
    Reduction reduction = Reduction::Mean;
    double label_smoothing = 0;
  };
  static constexpr OpTraits traits{.name = "cross_entropy",
                                   .inputs = 2,
                                   .extras = 1,
                                   .saved_inputs = 0b11,
                                   .saved_outputs = 0b10,
                                   .cost = Cost::Memory,
                                   .autocast = AutocastClass::F32,
                                   .differentiable = Differentiable::FirstOrder};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// (grad, logits, target, log-sums [N]) -> gradient of the logits.
struct CrossEntropyBackward {
  using Attrs = CrossEntropy::Attrs;
  static constexpr OpTraits traits{.name = "cross_entropy_backward",
                                   .inputs = 4,
                                   .mixed_dtype = 0b1001,
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::None};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};

// What PairLoss computes of an element x and its target t, with d = x - t.
enum class LossKind : uint8_t {
  Squared,    // d^2
  Absolute,   // |d|; the gradient is 0 at d = 0
  SmoothAbs,  // d^2 / (2 beta) for |d| < beta, else |d| - beta / 2
  BceLogits,  // -t log s(x) - (1 - t) log(1 - s(x)), s the logistic function
};

// (x, target, weight): weight[n] * loss(x, target), n the leading index; x and target of one shape,
// weight of shape [size of the leading axis] or undefined (ones). Mean divides by the number of
// elements, whatever the weights. Gradients for x and target; weight is a constant.
// Result: x's shape, or a scalar (f32 for the 2-byte types).
struct PairLoss {
  struct Attrs {
    LossKind kind = LossKind::Squared;
    Reduction reduction = Reduction::Mean;
    double beta = 1;
  };
  static constexpr OpTraits traits{.name = "pair_loss",
                                   .inputs = 3,
                                   .optional_inputs = 0b100,
                                   .saved_inputs = 0b111,
                                   .cost = Cost::Memory,
                                   .autocast = AutocastClass::F32,
                                   .differentiable = Differentiable::FirstOrder,
                                   .layout = Layout::Image};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// (grad, x, target, weight) -> gradients of x and of target.
struct PairLossBackward {
  using Attrs = PairLoss::Attrs;
  static constexpr OpTraits traits{.name = "pair_loss_backward",
                                   .inputs = 4,
                                   .optional_inputs = 0b1000,
                                   .outputs = 2,
                                   .mixed_dtype = 0b0001,
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::None,
                                   .layout = Layout::Image};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};

Tensor cross_entropy(const Tensor& logits, const Tensor& target, CrossEntropy::Attrs options = {});
Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::Mean);
Tensor l1_loss(const Tensor& x, const Tensor& target, Reduction reduction = Reduction::Mean);
// Huber 1964 up to the factor beta.
Tensor smooth_l1(const Tensor& x, const Tensor& target, double beta = 1,
                 Reduction reduction = Reduction::Mean);
// Binary cross-entropy of logits against targets in [0, 1].
Tensor bce_with_logits(const Tensor& x, const Tensor& target,
                       Reduction reduction = Reduction::Mean);
// sum_n weight[n] sum (x[n] - target[n])^2: the loss of Karras et al., "Elucidating the Design
// Space of Diffusion-Based Generative Models", 2022, before the division by the batch size.
Tensor weighted_mse(const Tensor& x, const Tensor& target, const Tensor& weight,
                    Reduction reduction = Reduction::Sum);

}  // namespace tenon
