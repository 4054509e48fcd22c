#include "core/io/background_writer.h"

#include <algorithm>
#include <utility>

namespace tenon::io {

BackgroundWriter::BackgroundWriter() : thread_([this] { run(); }) {}

BackgroundWriter::~BackgroundWriter() {
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return !busy_; });
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void BackgroundWriter::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stop_ || job_; });
    if (!job_) return;
    std::function<void()> job = std::exchange(job_, nullptr);
    lock.unlock();
    std::exception_ptr error;
    try {
      job();
    } catch (...) {
      error = std::current_exception();
    }
    job = nullptr;  // free its buffers before anyone is told that it ended
    lock.lock();
    if (error) error_ = error;
    busy_ = false;
    changed_.notify_all();
  }
}

void BackgroundWriter::rethrow(std::unique_lock<std::mutex>& lock) {
  if (!error_) return;
  const std::exception_ptr error = std::exchange(error_, nullptr);
  lock.unlock();
  std::rethrow_exception(error);
}

void BackgroundWriter::submit(std::function<void()> job) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !busy_; });
  rethrow(lock);
  job_ = std::move(job);
  busy_ = true;
  changed_.notify_all();
}

void BackgroundWriter::poll() {
  std::unique_lock lock(mutex_);
  rethrow(lock);
}

void BackgroundWriter::wait() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !busy_; });
  rethrow(lock);
}

bool BackgroundWriter::busy() const {
  std::lock_guard lock(mutex_);
  return busy_;
}

void retry_on_disk_error(const std::function<void()>& save,
                         const std::function<void(const std::string&)>& warn,
                         std::chrono::milliseconds limit, std::chrono::milliseconds interval) {
  const auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    try {
      return save();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Disk || std::chrono::steady_clock::now() + interval > end)
        throw;
      warn(fmt::format("{}; trying again in {} s", error.message(),
                       std::max<long long>(1, interval.count() / 1000)));
    }
    std::this_thread::sleep_for(interval);
  }
}

}  // namespace tenon::io
