#include "datasets/sampler.h"

#include "core/base/error.h"
#include "core/base/rng.h"

namespace tenon::data {

Sampler::Sampler(std::int64_t size, std::uint64_t seed, bool shuffle)
    : size_(size), seed_(seed), shuffle_(shuffle) {
  check(size > 0, ErrorKind::Data, "the data set is empty");
}

std::int64_t Sampler::index(std::int64_t position) const {
  TENON_ASSERT(position >= 0);
  const std::int64_t offset = position % size_;
  if (!shuffle_) return offset;
  const RngKey key = RngKey{seed_}.fold("epoch").fold(static_cast<std::uint64_t>(epoch(position)));
  return Permutation(size_, key.bits)(offset);
}

std::vector<std::int64_t> rank_positions(std::int64_t step, std::int64_t global_batch, int rank,
                                         int world) {
  TENON_ASSERT(step >= 0 && world > 0 && rank >= 0 && rank < world);
  check(global_batch > 0 && global_batch % world == 0, ErrorKind::Usage,
        "a batch of {} does not divide by {} ranks", global_batch, world);
  std::vector<std::int64_t> out;
  for (std::int64_t i = rank; i < global_batch; i += world) out.push_back(step * global_batch + i);
  return out;
}

}  // namespace tenon::data
