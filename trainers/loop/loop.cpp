#include "trainers/loop/loop.h"

#include <chrono>
#include <cmath>

#include "autograd/engine.h"
#include "core/io/checkpoint_folder.h"
#include "core/memory/allocator.h"
#include "core/memory/process.h"
#include "ops/ops.h"

namespace tenon::loop {

namespace {

using run::Phase;

// Steps without an update in a row after which there is no hope.
constexpr int kMaxSkipped = 20;

// When something that recurs every so many steps or seconds is due.
class Due {
 public:
  explicit Due(config::Interval every) : every_(every) {}
  bool now(int64_t step) {
    if (every_.never()) return false;
    if (every_.steps > 0) return step % every_.steps == 0;
    if (run::Meters::seconds_since(last_) < every_.seconds) return false;
    last_ = run::Meters::Clock::now();
    return true;
  }

 private:
  config::Interval every_;
  run::Meters::Clock::time_point last_ = run::Meters::Clock::now();
};

struct StepResult {
  double loss_sum = 0, weight = 0;
};

// Forward and backward of one batch, part by part.
StepResult gradients(Task& task, const nn::FlatParameters& parameters, const data::Batch& batch,
                     int64_t micro, run::Meters& meters) {
  StepResult out;
  out.weight = task.weight({batch, 0, batch.size});
  parameters.begin_gradients();
  for (int64_t begin = 0; begin < batch.size; begin += micro) {
    const MemoryTag tag("saved activations");
    Tensor loss;
    {
      const auto scope = meters.measure(Phase::Forward);
      const Tensor sum = task.loss_sum({batch, begin, std::min(micro, batch.size - begin)});
      out.loss_sum += sum.item();
      loss = affine(sum, 1 / out.weight, 0);
    }
    const auto scope = meters.measure(Phase::Backward);
    backward(loss);
  }
  parameters.finish_gradients();
  return out;
}

// The loss or a gradient is not finite: finds out where it began and throws.
[[noreturn]] void report_nonfinite(Task& task, const nn::FlatParameters& parameters,
                                   const data::Batch& batch, int64_t step, int64_t saved_step) {
  std::string samples;
  for (int64_t i = 0; i < std::min<int64_t>(batch.size, 8); ++i)
    samples += fmt::format("{}{}", i ? "," : "", batch.indices[static_cast<size_t>(i)]);
  std::string where;
  for (const auto& [name, p] : task.model().named_parameters())
    if (where.empty() && !all_finite(p->tensor()))
      where = fmt::format("first bad tensor: weight {}", name);
  try {
    const FiniteCheck on;
    const NoGrad off;
    if (where.empty()) task.loss_sum({batch, 0, batch.size});
  } catch (const Error& e) {
    where = e.message();
  }
  if (where.empty()) where = "no tensor of the forward pass is bad";
  for (const auto& e : parameters.entries())
    if (!all_finite(parameters.view(parameters.gradients(), e))) {
      where += fmt::format("; first bad gradient: {}", e.name);
      break;
    }
  if (saved_step >= 0) where += fmt::format(". Last good checkpoint: step {}", saved_step);
  throw_hint(ErrorKind::NonFinite, "a lower --lr, or look at these samples",
             "loss is not finite at step {} (sample ids {}...): {}", step, samples, where);
}

}  // namespace

Outcome train(Task& task, const nn::FlatParameters& parameters, Optimizer& optimizer,
              data::Prefetcher& data, TrainState& state, Checkpointer& checkpointer,
              run::Session& session, run::StopRequest& stop, const LoopOptions& o) {
  run::Meters& meters = session.meters();
  const int64_t micro = o.micro_batch > 0 ? o.micro_batch : o.batch;
  Due save_due(o.save_every), evaluate_due(o.evaluate_every);
  int64_t saved_step = -1;
  const auto save = [&] {
    if (saved_step == state.step) return;
    const auto start = run::Meters::Clock::now();
    {
      const auto scope = meters.measure(Phase::Save);
      checkpointer.save(state, task, parameters, optimizer);
    }
    saved_step = state.step;
    session.checkpoint_saved(state.step, io::checkpoint_name(state.step),
                             run::Meters::seconds_since(start));
  };
  const auto evaluate = [&](bool last) {
    const auto scope = meters.measure(Phase::Evaluate);
    const NoGrad off;
    parameters.use(optimizer.ema());
    task.model().set_training(false);
    task.evaluate(state.step, last, session);
    task.model().set_training(true);
    parameters.use(parameters.values());
  };

  data::Batch first;
  int skipped = 0;  // in a row
  while (state.step < o.total_steps) {
    const auto start = run::Meters::Clock::now();
    const data::Batch* batch;
    {
      const auto scope = meters.measure(Phase::Data);
      batch = &data.next();
      if (o.overfit_batch) {
        if (first.size == 0) first = *batch;
        batch = &first;
      }
    }
    const StepResult result = gradients(task, parameters, *batch, micro, meters);
    const double lr = o.lr(state.samples);
    double norm;
    {
      const auto scope = meters.measure(Phase::Optimizer);
      norm = optimizer.gradient_norm();
      const bool finite =
          std::isfinite(result.loss_sum) && (std::isfinite(norm) || optimizer.replaces_nonfinite());
      skipped = finite ? 0 : skipped + 1;
      if (skipped > (o.skip_nonfinite ? kMaxSkipped : 0))
        report_nonfinite(task, parameters, *batch, state.step, saved_step);
      if (finite) {
        optimizer.step(lr, o.ema_beta(state.samples));
        meters.add_loss(result.loss_sum, result.weight);
      } else {
        session.record(run::Record("warn", state.step)
                           .add("text", std::string("not finite: step without an update")));
      }
    }
    ++state.step;
    state.samples += o.batch;
    meters.add_step(o.batch, run::Meters::seconds_since(start));

    run::ProgressLine line;
    line.step = state.step;
    line.total = o.total_steps;
    line.loss = result.loss_sum / result.weight;
    line.extra = task.progress();
    line.lr = lr;
    line.grad_norm = norm;
    line.memory_bytes = static_cast<double>(peak_resident_bytes());
    line.memory_size = static_cast<double>(physical_memory_bytes());
    session.step_done(std::move(line));

    const bool asked = stop.take_save_request();
    if (stop.stop()) {
      // A limit of time is the chosen end of a training; a signal leaves little time.
      if (stop.reason() == "--max-time" && !o.evaluate_every.never()) evaluate(true);
      save();
      checkpointer.wait();
      return Outcome::Stopped;
    }
    if (evaluate_due.now(state.step) && state.step < o.total_steps) evaluate(false);
    if ((save_due.now(state.step) || asked) && state.step < o.total_steps) save();
  }
  if (!o.evaluate_every.never()) evaluate(true);
  save();
  checkpointer.wait();
  return Outcome::Done;
}

}  // namespace tenon::loop
