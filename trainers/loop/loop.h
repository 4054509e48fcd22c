// The training loop: the same for every model.
#pragma once

#include <functional>

#include "trainers/loop/checkpointer.h"
#include "trainers/run/common.h"
#include "trainers/run/signals.h"

namespace tenon::loop {

struct LoopOptions {
  int64_t total_steps = 0;
  int64_t batch = 1;        // global
  int64_t micro_batch = 0;  // samples at a time; 0 = the whole batch
  // Schedules as pure functions of the samples seen before the step.
  std::function<double(int64_t samples)> lr, ema_beta;
  config::Interval save_every;      // never: at the end only
  config::Interval evaluate_every;  // never: not at the end either
  bool overfit_batch = false;
  bool skip_nonfinite = false;  // no update where loss or gradient are not finite, instead of ending
};

enum class Outcome { Done, Stopped };

// Trains from `state` to the end or to a stop request, whichever comes first; saves at the end and
// at a stop. Throws NonFinite naming op or parameter when a loss or gradient is not finite; the
// last good checkpoint stays.
Outcome train(Task& task, const nn::FlatParameters& parameters, Optimizer& optimizer,
              data::Prefetcher& data, TrainState& state, Checkpointer& checkpointer,
              run::Session& session, run::StopRequest& stop, const LoopOptions& options);

}  // namespace tenon::loop
