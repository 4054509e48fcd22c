// Which samples belong to which step: a pure function, so that a resumed run, another number of
// ranks or of workers sees the same stream. Its whole state is (seed, position).
#pragma once

#include <vector>

#include "datasets/permutation.h"

namespace tenon::data {

// The endless stream of the data set: epoch after epoch, each in an order of its own.
class Sampler {
 public:
  // shuffle = false walks through the data set in order, again and again (evaluation).
  Sampler(std::int64_t size, std::uint64_t seed, bool shuffle = true);

  std::int64_t size() const { return size_; }
  std::int64_t epoch(std::int64_t position) const { return position / size_; }
  // The sample at a position of the stream.
  std::int64_t index(std::int64_t position) const;

 private:
  std::int64_t size_;
  std::uint64_t seed_;
  bool shuffle_;
};

// The part of a step's batch that one rank reads: the stream positions
// step * global_batch + i * world + rank, i = 0 .. global_batch / world - 1.
std::vector<std::int64_t> rank_positions(std::int64_t step, std::int64_t global_batch, int rank,
                                         int world);

}  // namespace tenon::data
