// Batches decoded ahead by a pool of threads.
//
// What a batch holds depends only on the sampler and the step: any number of workers, any timing,
// gives the same bytes. Memory is a ring of `depth` batches that are filled again and again.
#pragma once

#include <condition_variable>
#include <exception>
#include <functional>
#include <mutex>
#include <set>
#include <thread>

#include "datasets/sampler.h"
#include "datasets/source.h"

namespace tenon::data {

struct Batch {
  std::int64_t step = -1;
  std::int64_t size = 0;                // samples
  std::vector<std::uint8_t> images;     // [size, C, H, W]
  std::vector<std::int64_t> labels;     // [size], LabelKind::Class, otherwise empty
  std::vector<float> label_vectors;     // [size, label_dim], LabelKind::Vector, otherwise empty
  std::vector<std::int64_t> positions;  // in the stream: keys of per-sample random numbers
  std::vector<std::int64_t> indices;    // in the data set
};

struct PrefetchOptions {
  std::int64_t batch = 1;  // global
  int rank = 0, world = 1;
  int workers = 2;  // 0 decodes in next()
  int depth = 3;    // batches decoded ahead
  // Damaged samples (Data errors) that may be replaced by the next sample of the data set; each is
  // reported to on_skip once, from a worker thread, one at a time. 0 stops at the first
  // (--on-bad-sample stop | skip:N).
  int skip_limit = 0;
  std::function<void(const std::string&)> on_skip;
};

class Prefetcher {
 public:
  Prefetcher(SourcePtr source, Sampler sampler, PrefetchOptions options,
             std::int64_t first_step = 0);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  // The batch of the next step, valid until the next call. An error of one of its samples is thrown
  // here, naming the sample and where it lies; of several the first in the batch.
  const Batch& next();

  std::int64_t next_step() const { return next_step_; }  // the state to save
  double wait_seconds() const { return wait_seconds_; }  // spent in next() waiting for data
  std::int64_t skipped() const;

 private:
  struct Slot {
    Batch batch;
    std::int64_t claimed = 0, done = 0;
    std::int64_t error_at = -1;
    std::exception_ptr error;
  };
  struct Work {
    Slot* slot = nullptr;
    std::int64_t begin = 0, end = 0;
  };

  void worker();
  bool can_claim() const;
  Work claim();
  void start(Slot& slot, std::int64_t step);
  void decode(const Work& work);
  void decode_sample(Batch& batch, std::int64_t i);
  bool skip(std::int64_t index, const Error& error);
  Error described(std::int64_t index, const Error& error) const;
  Slot& slot_of(std::int64_t step) {
    return slots_[static_cast<std::size_t>(step) % slots_.size()];
  }

  SourcePtr source_;
  Sampler sampler_;
  PrefetchOptions options_;
  std::int64_t next_step_;   // that next() hands out
  std::int64_t claim_step_;  // whose samples are being given to workers
  std::int64_t released_;    // slots of steps below are free
  double wait_seconds_ = 0;
  bool stop_ = false;
  std::set<std::int64_t> bad_;
  std::vector<Slot> slots_;
  mutable std::mutex mutex_;
  std::condition_variable work_there_, batch_done_;
  std::vector<std::thread> threads_;
};

}  // namespace tenon::data
