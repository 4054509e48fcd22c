// Runs saves on one background thread, so that training goes on while the disk works.
#pragma once

#include <chrono>
#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>

#include "core/base/error.h"

namespace tenon::io {

// At most one job runs at a time. A job owns everything it needs (copy the tensors into it at the
// step border). What a job throws comes out of the next call of submit(), poll() or wait().
class BackgroundWriter {
 public:
  BackgroundWriter();
  // Waits for the running job; an error nobody asked for is lost here, so call wait() before.
  ~BackgroundWriter();
  BackgroundWriter(const BackgroundWriter&) = delete;
  BackgroundWriter& operator=(const BackgroundWriter&) = delete;

  // Waits for the previous job, then starts this one.
  void submit(std::function<void()> job);
  void poll();
  void wait();
  bool busy() const;

 private:
  void run();
  void rethrow(std::unique_lock<std::mutex>& lock);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::function<void()> job_;
  std::exception_ptr error_;
  bool busy_ = false, stop_ = false;
  std::thread thread_;
};

// Calls `save`, and again every `interval` for as long as it throws Disk errors and `limit` has not
// passed; `warn` gets each error's text. So a full disk pauses a run, and only then stops it.
void retry_on_disk_error(const std::function<void()>& save,
                         const std::function<void(const std::string&)>& warn,
                         std::chrono::milliseconds limit = std::chrono::minutes(10),
                         std::chrono::milliseconds interval = std::chrono::seconds(15));

}  // namespace tenon::io
