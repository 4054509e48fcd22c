// The state of a training, to and from a checkpoint folder (docs/run-folder.md lists the files).
#pragma once

#include <memory>

#include "core/io/background_writer.h"
#include "trainers/loop/optimizer.h"
#include "trainers/loop/task.h"

namespace tenon::loop {

struct TrainState {
  int64_t step = 0;     // steps done; also the data position, as batches are a function of the step
  int64_t samples = 0;  // samples seen
  uint64_t seed = 0;
};

class Checkpointer {
 public:
  struct Options {
    std::filesystem::path root;
    int keep = 3;
    int64_t keep_every = 0;
    std::string config;  // config.json, copied into each checkpoint
  };
  explicit Checkpointer(Options options) : options_(std::move(options)) {}

  // Copies the state, then writes it on a background thread; waits for the save before it. Disk
  // errors of an earlier save come out here.
  void save(const TrainState& state, Task& task, const nn::FlatParameters& parameters,
            const Optimizer& optimizer);
  // Until the last save is durable.
  void wait() { writer_.wait(); }
  // Bytes of the last save, 0 before the first.
  size_t bytes() const { return bytes_; }

 private:
  Options options_;
  io::BackgroundWriter writer_;
  size_t bytes_ = 0;
};

// Restores everything; Checkpoint errors leave nothing half-changed that is used afterwards.
TrainState load_checkpoint(const std::filesystem::path& folder, Task& task,
                           const nn::FlatParameters& parameters, Optimizer& optimizer);

}  // namespace tenon::loop
