#include "trainers/loop/optimizer.h"

#include "ops/optim/optim.h"

namespace tenon::loop {

Optimizer::Optimizer(const nn::FlatParameters& parameters, OptimizerConfig config)
    : parameters_(parameters),
      config_(config),
      m_(parameters.like("optimizer")),
      v_(parameters.like("optimizer")),
      ema_(parameters.like("averaged weights")) {
  ema_.copy_from(parameters.values());
}

void Optimizer::step(double lr, double ema_beta) {
  ++steps_;
  const NoGrad off;
  adam_step(parameters_.values(), parameters_.gradients(), m_, v_,
            {.lr = lr,
             .beta1 = config_.beta1,
             .beta2 = config_.beta2,
             .eps = config_.eps,
             .weight_decay = config_.weight_decay,
             .decoupled = config_.decoupled,
             .step = steps_,
             .replace_nonfinite = config_.replace_nonfinite,
             .ema_beta = ema_beta},
            ema_);
}

double Optimizer::gradient_norm() const { return grad_norm(parameters_.gradients()); }

}  // namespace tenon::loop
