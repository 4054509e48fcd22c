// A pseudo-random permutation of 0..n-1 that needs no memory.
#pragma once

#include <cstdint>

namespace tenon::data {

// A Feistel network over the next even number of bits, with Philox as its round function; values
// outside 0..n-1 are sent through again until they fall inside ("cycle walking", Black and Rogaway,
// "Ciphers with Arbitrary Finite Domains", 2002). At most four rounds of walking on average.
class Permutation {
 public:
  Permutation(std::int64_t n, std::uint64_t key);
  std::int64_t operator()(std::int64_t i) const;  // i in [0, n)

 private:
  std::uint64_t once(std::uint64_t x) const;

  std::uint64_t n_, key_;
  int half_bits_ = 1;
};

}  // namespace tenon::data
