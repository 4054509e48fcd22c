// What a training measures of itself: loss, throughput, step time, where the time goes, time left.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace tenon::run {

// Phases of the time budget; Other is what none of them covers.
enum class Phase { Data, Forward, Backward, Reduce, Optimizer, Evaluate, Sample, Save, Other };
inline constexpr std::array kPhaseNames = {"data",     "forward", "backward", "reduce", "optimizer",
                                           "evaluate", "sample",  "save",     "other"};

class Meters {
 public:
  using Clock = std::chrono::steady_clock;

  // Measures one phase for as long as it lives. Phases do not nest.
  class Scope {
   public:
    Scope(Meters& meters, Phase phase) : meters_(meters), phase_(phase), start_(Clock::now()) {}
    ~Scope() { meters_.add_time(phase_, seconds_since(start_)); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Meters& meters_;
    Phase phase_;
    Clock::time_point start_;
  };
  Scope measure(Phase phase) { return Scope(*this, phase); }
  void add_time(Phase phase, double seconds);

  // Loss as sum and weight over all samples (of all ranks); the mean is sum / weight.
  void add_loss(double sum, double weight);
  // One step is done: `samples` of all ranks, `seconds` without evaluation, sampling and saving.
  void add_step(std::int64_t samples, double seconds);

  struct Window {  // since the last take()
    std::int64_t steps = 0, samples = 0;
    double loss = 0;                            // NaN when nothing was added
    double per_second = 0;                      // samples a second of step time
    double step_seconds = 0, data_seconds = 0;  // mean per step
    double data_share = 0;                      // of the step time, 0..1
  };
  Window take();

  // Median of the last 100 steps of this process; nothing before the fifth step.
  std::optional<double> median_step() const;

  // Seconds until step `total`: steps by their median, plus what is still due of evaluations and
  // saves at their mean duration. Never negative; nothing before the fifth step.
  std::optional<double> seconds_left(std::int64_t step, std::int64_t total, double evaluations = 0,
                                     double saves = 0) const;

  // Seconds by phase since the start of this process; Other is the rest of the elapsed time.
  std::array<double, kPhaseNames.size()> budget() const;
  double elapsed() const { return seconds_since(start_); }
  std::int64_t samples() const { return total_samples_; }
  // Mean duration of one evaluation or save so far, 0 before the first.
  double mean_of(Phase phase) const;

  static double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
  }

 private:
  Clock::time_point start_ = Clock::now();
  std::array<double, kPhaseNames.size()> times_{};
  std::array<std::int64_t, kPhaseNames.size()> counts_{};
  std::deque<double> steps_;
  std::int64_t step_count_ = 0, total_samples_ = 0;
  double loss_sum_ = 0, loss_weight_ = 0, window_seconds_ = 0, window_data_ = 0;
  std::int64_t window_steps_ = 0, window_samples_ = 0;
};

}  // namespace tenon::run
