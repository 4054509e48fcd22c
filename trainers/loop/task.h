// What a paper's trainer supplies to the loop: its model, the loss of a part of a batch, and what
// it shows. The loop (trainers/loop/loop.h) supplies everything else and knows no model.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/io/safetensors.h"
#include "datasets/prefetcher.h"
#include "models/nn/module.h"
#include "trainers/run/session.h"

namespace tenon::loop {

// Samples [begin, begin + count) of a batch: a micro-batch.
struct BatchPart {
  const data::Batch& batch;
  int64_t begin = 0, count = 0;
};

class Task {
 public:
  virtual ~Task() = default;

  virtual nn::Module& model() = 0;

  // The *sum* of the loss over the samples of this part (a 0-dim tensor). Everything random in it
  // is a function of the seed and of the samples' stream positions.
  virtual Tensor loss_sum(const BatchPart& part) = 0;
  // What the sum over a whole batch is divided by (samples, tokens, pixels): the loss and its
  // gradient do not depend on how a batch is split.
  virtual double weight(const BatchPart& part) const { return static_cast<double>(part.count); }

  // At most two short fields for the progress line, and further fields of the metrics line.
  virtual std::vector<std::pair<std::string, std::string>> progress() const { return {}; }

  // Called with EMA weights in place and the model in evaluation mode. `last`: the training is
  // over.
  virtual void evaluate(int64_t step, bool last, run::Session& session) = 0;

  // Further tensors of the checkpoint's weight files that are no parameters (a code table).
  virtual std::vector<std::pair<std::string, Tensor>> extra_tensors() const { return {}; }
  virtual void load_extra(const io::SafetensorsReader&) {}
};

}  // namespace tenon::loop
