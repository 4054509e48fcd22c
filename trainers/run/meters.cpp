#include "trainers/run/meters.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace tenon::run {
namespace {

constexpr std::size_t kMedianSteps = 100;
constexpr std::int64_t kFirstEstimate = 5;

std::size_t index_of(Phase phase) {
  return static_cast<std::size_t>(phase);
}

}  // namespace

void Meters::add_time(Phase phase, double seconds) {
  times_[index_of(phase)] += seconds;
  ++counts_[index_of(phase)];
  if (phase == Phase::Data) window_data_ += seconds;
}

void Meters::add_loss(double sum, double weight) {
  loss_sum_ += sum;
  loss_weight_ += weight;
}

void Meters::add_step(std::int64_t samples, double seconds) {
  steps_.push_back(seconds);
  if (steps_.size() > kMedianSteps) steps_.pop_front();
  ++step_count_;
  total_samples_ += samples;
  ++window_steps_;
  window_samples_ += samples;
  window_seconds_ += seconds;
}

Meters::Window Meters::take() {
  Window w;
  w.steps = window_steps_;
  w.samples = window_samples_;
  w.loss = loss_weight_ > 0 ? loss_sum_ / loss_weight_ : std::numeric_limits<double>::quiet_NaN();
  if (window_steps_ > 0 && window_seconds_ > 0) {
    w.per_second = static_cast<double>(window_samples_) / window_seconds_;
    w.step_seconds = window_seconds_ / static_cast<double>(window_steps_);
    w.data_seconds = window_data_ / static_cast<double>(window_steps_);
    w.data_share = std::min(1.0, window_data_ / window_seconds_);
  }
  loss_sum_ = loss_weight_ = window_seconds_ = window_data_ = 0;
  window_steps_ = window_samples_ = 0;
  return w;
}

std::optional<double> Meters::median_step() const {
  if (step_count_ < kFirstEstimate) return std::nullopt;
  std::vector<double> sorted(steps_.begin(), steps_.end());
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(sorted.size() / 2);
  std::nth_element(sorted.begin(), middle, sorted.end());
  return *middle;
}

std::optional<double> Meters::seconds_left(std::int64_t step, std::int64_t total,
                                           double evaluations, double saves) const {
  const auto median = median_step();
  if (!median) return std::nullopt;
  const double steps = static_cast<double>(std::max<std::int64_t>(0, total - step));
  return steps * *median +
         std::max(0.0, evaluations) * (mean_of(Phase::Evaluate) + mean_of(Phase::Sample)) +
         std::max(0.0, saves) * mean_of(Phase::Save);
}

double Meters::mean_of(Phase phase) const {
  const std::size_t i = index_of(phase);
  return counts_[i] ? times_[i] / static_cast<double>(counts_[i]) : 0.0;
}

std::array<double, kPhaseNames.size()> Meters::budget() const {
  auto all = times_;
  double known = 0;
  for (std::size_t i = 0; i + 1 < all.size(); ++i) known += all[i];
  all.back() = std::max(0.0, elapsed() - known);
  return all;
}

}  // namespace tenon::run
