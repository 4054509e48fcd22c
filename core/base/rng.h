// Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as
// 1, 2, 3", SC 2011). A number is a pure function of (key, counter), so results do not depend on
// thread count, rank count or the order of calls, and the state of a run is a few integers.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

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

namespace detail {

TENON_HD inline uint64_t bits_of(double x) {
  uint64_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
}
TENON_HD inline double from_bits(uint64_t bits) {
  double x;
  memcpy(&x, &bits, sizeof(x));
  return x;
}

// log of a whole number in [1, 2^32], less 32 log 2. Mantissa m in [sqrt(1/2), sqrt(2)), then
// log m = 2 artanh((m - 1) / (m + 1)) by its series; the remainder is below 1e-13.
TENON_HD inline double log_fraction(double v) {
  const uint64_t bits = bits_of(v);
  // The exponent, counted from sqrt(1/2) on and kept positive, so that a double can be made of it
  // by bits.
  const uint64_t shifted = bits - 0x3fe6a09e667f3bcdull;
  const uint64_t exponent = shifted >> 52;
  const double e = from_bits(exponent | 0x4330000000000000ull) - (4503599627370496.0 + 32.0);
  const double m = from_bits(bits - (exponent << 52));
  const double s = (m - 1.0) / (m + 1.0), z = s * s;
  double p = 1.0 / 15.0;
  p = p * z + 1.0 / 13.0;
  p = p * z + 1.0 / 11.0;
  p = p * z + 1.0 / 9.0;
  p = p * z + 1.0 / 7.0;
  p = p * z + 1.0 / 5.0;
  p = p * z + 1.0 / 3.0;
  return (2.0 * s + 2.0 * s * z * p) + e * 0.693147180559945309417;
}

// A 32-bit number as double, by bits: vector code has no conversion from unsigned.
TENON_HD inline double exact(uint32_t u) {
  return from_bits(0x4330000000000000ull | u) - 4503599627370496.0;
}

}  // namespace detail

// Two standard normals from two 32-bit numbers (Box and Muller 1958): radius sqrt(-2 log u) with
// u = (a + 1) / 2^32, angle 2 pi b / 2^32, in double by series whose error is below 1e-11, then
// rounded to float. Without library calls and branches, so compilers turn loops of it into vector
// code; without fused multiply-adds (files that hold such loops are compiled with
// -ffp-contract=off) every instruction set gives the same bits.
TENON_HD inline void normal_pair(uint32_t a, uint32_t b, float* x, float* y) {
  const double square = -2.0 * detail::log_fraction(detail::exact(a) + 1.0);
  const double radius = std::sqrt(square);
  // The angle is quarter * pi / 2 + r with |r| <= pi / 4.
  const uint32_t quarter = (b + 0x20000000u) >> 30;
  const uint32_t rest = b - (quarter << 30);  // wraps: a signed number of 30 bits
  const double r =
      (detail::exact(rest ^ 0x80000000u) - 2147483648.0) * (6.283185307179586476925 / 4294967296.0);
  const double z = r * r;
  double s = -1.0 / 39916800.0;
  s = s * z + 1.0 / 362880.0;
  s = s * z - 1.0 / 5040.0;
  s = s * z + 1.0 / 120.0;
  s = s * z - 1.0 / 6.0;
  s = r + r * z * s;
  double c = 1.0 / 479001600.0;
  c = c * z - 1.0 / 3628800.0;
  c = c * z + 1.0 / 40320.0;
  c = c * z - 1.0 / 720.0;
  c = c * z + 1.0 / 24.0;
  c = c * z - 0.5;
  c = 1.0 + z * c;
  const bool odd = (quarter & 1u) != 0;
  const double sine = odd ? c : s, cosine = odd ? s : c;
  // cos is negative in quarters 1 and 2, sin in 2 and 3.
  const double up = (quarter & 2u) != 0 ? -1.0 : 1.0;
  const double side = ((quarter + 1u) & 2u) != 0 ? -1.0 : 1.0;
  *x = static_cast<float>(radius * (cosine * side));
  *y = static_cast<float>(radius * (sine * up));
}

}  // namespace tenon
