#include "trainers/run/signals.h"

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include "core/base/error.h"

namespace tenon::run {
namespace {

volatile std::sig_atomic_t stop_signal = 0;
volatile std::sig_atomic_t save_signal = 0;

void on_stop(int signal) {
  if (stop_signal != 0) {
    // The second one: the default action ends the process as soon as this handler returns.
    std::signal(signal, SIG_DFL);
    std::raise(signal);
    return;
  }
  stop_signal = signal;
}

void on_save(int) {
  save_signal = 1;
}

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr int kStopSignals[] = {SIGTERM, SIGUSR1, SIGINT, SIGHUP};

const char* name_of(int signal) {
  switch (signal) {
    case SIGTERM:
      return "SIGTERM";
    case SIGUSR1:
      return "SIGUSR1";
    case SIGINT:
      return "SIGINT";
    case SIGHUP:
      return "SIGHUP";
    default:
      return "a signal";
  }
}

}  // namespace

struct StopRequest::Saved {
  struct sigaction stop[4], save, pipe;
};

StopRequest::StopRequest(double max_time) : start_(now()), max_time_(max_time), saved_(new Saved) {
  stop_signal = 0;
  save_signal = 0;
  struct sigaction action = {};
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  action.sa_handler = on_stop;
  for (int i = 0; i < 4; ++i) {
    sigaction(kStopSignals[i], &action, &saved_->stop[i]);
    // nohup: what was ignored stays ignored.
    if (kStopSignals[i] == SIGHUP && saved_->stop[i].sa_handler == SIG_IGN)
      sigaction(SIGHUP, &saved_->stop[i], nullptr);
  }
  action.sa_handler = on_save;
  sigaction(SIGUSR2, &action, &saved_->save);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, &saved_->pipe);
  if (const char* end = std::getenv("SLURM_JOB_END_TIME")) {
    try {
      const double left = config::parse_number(end) - static_cast<double>(std::time(nullptr));
      job_end_ = start_ + left;
    } catch (const Error&) {
      // Not a number: not from a Slurm that tells the end.
    }
  }
}

StopRequest::~StopRequest() {
  for (int i = 0; i < 4; ++i) sigaction(kStopSignals[i], &saved_->stop[i], nullptr);
  sigaction(SIGUSR2, &saved_->save, nullptr);
  sigaction(SIGPIPE, &saved_->pipe, nullptr);
  delete saved_;
}

std::string StopRequest::reason() const {
  if (stop_signal != 0) return name_of(stop_signal);
  if (!asked_.empty()) return asked_;
  if (max_time_ > 0 && now() - start_ >= max_time_) return "--max-time";
  // Twice the margin: the last step before the end of the job may be a slow one.
  if (job_end_ > 0 && now() + 2 * margin_ + 10 >= job_end_) return "end of the job";
  return {};
}

bool StopRequest::take_save_request() {
  if (save_signal == 0) return false;
  save_signal = 0;
  return true;
}

int StopRequest::leave() const {
  std::fflush(nullptr);
  if (stop_signal == SIGINT) {
    std::signal(SIGINT, SIG_DFL);
    std::raise(SIGINT);
  }
  return exit_code(ErrorKind::Stopped);
}

std::optional<double> StopRequest::seconds_left() const {
  std::optional<double> left;
  if (max_time_ > 0) left = max_time_ - (now() - start_);
  if (job_end_ > 0) left = std::min(left.value_or(job_end_ - now()), job_end_ - now());
  return left;
}

}  // namespace tenon::run
