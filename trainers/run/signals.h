// Stopping on request: signals and time limits, looked at where work can be cut.
//
//   SIGTERM SIGUSR1 SIGHUP  finish the step, save, leave with code 75 (SIGHUP unless ignored)
//   SIGINT                  save, then die by SIGINT, so that shell loops stop too
//   a second of these       leave at once; the last checkpoint is whole
//   SIGUSR2                 save and go on
//   SIGPIPE                 ignored: a closed log pipe must not end a training
//
// Loops of any kind (training, evaluation, sampling, data preparation) ask stop_reason() once per
// piece of work. The loop that owns the state saves it and returns leave().
#pragma once

#include <optional>
#include <string>

#include "core/config/units.h"

namespace tenon::run {

class StopRequest {
 public:
  // Installs the handlers; the destructor puts the old ones back. One object at a time.
  // max_time: seconds from now, 0 for none. SLURM_JOB_END_TIME (seconds since 1970) also limits.
  explicit StopRequest(double max_time = 0);
  ~StopRequest();
  StopRequest(const StopRequest&) = delete;
  StopRequest& operator=(const StopRequest&) = delete;

  // "" to go on, else "SIGTERM", "--max-time", "end of the job".
  std::string reason() const;
  bool stop() const { return !reason().empty(); }

  // A SIGUSR2 came since the last call.
  bool take_save_request();

  // How long saving and one step take: a job's end is met that much earlier.
  void expect(double save_seconds, double step_seconds) { margin_ = save_seconds + step_seconds; }

  // For another rank's request, or a test.
  void request(const std::string& reason) { asked_ = reason; }

  // What main returns after the state was saved: 75, or no return at all (death by SIGINT).
  int leave() const;

  // Seconds to the nearest time limit, if there is one.
  std::optional<double> seconds_left() const;

 private:
  double start_, max_time_, job_end_ = 0, margin_ = 0;
  std::string asked_;
  struct Saved;
  Saved* saved_;
};

}  // namespace tenon::run
