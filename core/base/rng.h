// Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as
// 1, 2, 3", SC 2011). A number is a pure function of (key, counter), so results do not depend on
// thread count, rank count or the order of calls, and the state of a run is a few integers.
#pragma once

#include <cmath>
#include <cstdint>

#include "core/base/host_device.h"

namespace tenon {

struct Philox4 {
  uint32_t v[4];
};

// Ten rounds on the 128-bit counter {c0, c1, c2, c3} under the 64-bit key {k0, k1}.
TENON_HD inline Philox4 philox(uint64_t key, uint64_t counter_lo, uint64_t counter_hi) {
  uint32_t c0 = static_cast<uint32_t>(counter_lo), c1 = static_cast<uint32_t>(counter_lo >> 32);
  uint32_t c2 = static_cast<uint32_t>(counter_hi), c3 = static_cast<uint32_t>(counter_hi >> 32);
  uint32_t k0 = static_cast<uint32_t>(key), k1 = static_cast<uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const uint64_t p0 = static_cast<uint64_t>(0xD2511F53u) * c0;
    const uint64_t p1 = static_cast<uint64_t>(0xCD9E8D57u) * c2;
    const uint32_t n0 = static_cast<uint32_t>(p1 >> 32) ^ c1 ^ k0;
    const uint32_t n2 = static_cast<uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c1 = static_cast<uint32_t>(p1);
    c3 = static_cast<uint32_t>(p0);
    c0 = n0;
    c2 = n2;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

// A stream of random numbers: 64 bits that name it. fold(x) gives an independent stream, so code
// derives keys by meaning: key.fold(step).fold(layer). Element i of a stream uses counter i / 4.
struct RngKey {
  uint64_t bits = 0;

  RngKey fold(uint64_t x) const {
    const Philox4 r = philox(bits, x, 0x666f6c64u /* "fold", keeps keys apart from numbers */);
    return {r.v[0] | (static_cast<uint64_t>(r.v[1]) << 32)};
  }
  RngKey fold(const char* name) const {  // FNV-1a of the name
    uint64_t h = 0xcbf29ce484222325ull;
    for (; *name; ++name) h = (h ^ static_cast<unsigned char>(*name)) * 0x100000001b3ull;
    return fold(h);
  }
  // Four 32-bit numbers number `block` of row `row`.
  Philox4 block(uint64_t block, uint64_t row = 0) const { return philox(bits, block, row); }
};

// [0, 1) with 24 bits: exact in float.
TENON_HD inline float uniform_from_bits(uint32_t u) {
  return static_cast<float>(u >> 8) * (1.0f / 16777216.0f);
}

// Two standard normals from two 32-bit numbers (Box and Muller 1958), computed in double so that
// all implementations agree to the last bits of float.
inline void normal_pair(uint32_t a, uint32_t b, float* x, float* y) {
  const double u = (static_cast<double>(a) + 1.0) * (1.0 / 4294967296.0);  // (0, 1]
  const double angle = static_cast<double>(b) * (6.283185307179586476925 / 4294967296.0);
  const double radius = std::sqrt(-2.0 * std::log(u));
  *x = static_cast<float>(radius * std::cos(angle));
  *y = static_cast<float>(radius * std::sin(angle));
}

}  // namespace tenon
