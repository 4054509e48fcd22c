#include "datasets/permutation.h"

#include "core/base/error.h"
#include "core/base/rng.h"

namespace tenon::data {

Permutation::Permutation(std::int64_t n, std::uint64_t key)
    : n_(static_cast<std::uint64_t>(n)), key_(RngKey{key}.fold("permutation").bits) {
  TENON_ASSERT(n > 0 && n <= std::int64_t{1} << 60);
  while (n_ > std::uint64_t{1} << 2 * half_bits_) ++half_bits_;
}

std::uint64_t Permutation::once(std::uint64_t x) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = x >> half_bits_, right = x & mask;
  // Small domains have few bits a round to mix, so there are more rounds than the usual four.
  for (std::uint64_t round = 0; round < 8; ++round) {
    const Philox4 r = philox(key_, right, round);
    const std::uint64_t next = left ^ ((r.v[0] | static_cast<std::uint64_t>(r.v[1]) << 32) & mask);
    left = right;
    right = next;
  }
  return left << half_bits_ | right;
}

std::int64_t Permutation::operator()(std::int64_t i) const {
  auto x = static_cast<std::uint64_t>(i);
  TENON_ASSERT(x < n_);
  do {
    x = once(x);
  } while (x >= n_);
  return static_cast<std::int64_t>(x);
}

}  // namespace tenon::data
