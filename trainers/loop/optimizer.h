// Adam on the flat parameter buffer, with the running average of the weights in the same pass.
#pragma once

#include "models/nn/flat.h"

namespace tenon::loop {

struct OptimizerConfig {
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay = 0;
  bool decoupled = false;  // AdamW
  // Replace NaN in gradients by 0, infinities by 1e5 (EDM); else the loop decides about them.
  bool replace_nonfinite = false;
};

class Optimizer {
 public:
  Optimizer(const nn::FlatParameters& parameters, OptimizerConfig config);

  // One step with the gradients in the flat buffer: weights, moments and average.
  // ema = ema_beta ema + (1 - ema_beta) weights.
  void step(double lr, double ema_beta);
  // Euclidean norm of all gradients.
  double gradient_norm() const;

  const Tensor& ema() const { return ema_; }
  bool replaces_nonfinite() const { return config_.replace_nonfinite; }
  int64_t steps() const { return steps_; }
  void set_steps(int64_t n) { steps_ = n; }
  // The moments by name of their file entry.
  const Tensor& first_moment() const { return m_; }
  const Tensor& second_moment() const { return v_; }

 private:
  const nn::FlatParameters& parameters_;
  OptimizerConfig config_;
  Tensor m_, v_, ema_;
  int64_t steps_ = 0;
};

}  // namespace tenon::loop
