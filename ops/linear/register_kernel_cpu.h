// The innermost loop of all dense products: a block of C that fits the registers.
#pragma once

#include "core/simd/vec.h"

namespace tenon::TENON_TARGET {

// Rows x vectors of the block: as many sums as the registers hold beside their operands.
#if defined(__AVX512F__)
inline constexpr int kBlockRows = 12, kBlockVectors = 2;
#elif defined(__AVX2__)
inline constexpr int kBlockRows = 6, kBlockVectors = 1;
#else
inline constexpr int kBlockRows = 2, kBlockVectors = 1;
#endif

// sum[r][j] (+)= sum over p < depth of a[r * a_row + p * a_step] * b[p * b_step + j], for
// kBlockRows rows r and kBlockVectors vectors of columns j. Without kAdd, sum is only written.
template <class V, bool kAdd, class C = typename V::Element>
TENON_INLINE void register_kernel(int64_t depth, const C* a, int64_t a_row, int64_t a_step,
                                  const C* b, int64_t b_step, C* sum, int64_t ld) {
  V acc[kBlockRows][kBlockVectors];
#pragma GCC unroll 12
  for (int r = 0; r < kBlockRows; r++)
#pragma GCC unroll 2
    for (int v = 0; v < kBlockVectors; v++)
      acc[r][v] = kAdd ? load(sum + r * ld + v * V::size) : V(C(0));
  for (int64_t p = 0; p < depth; p++, a += a_step, b += b_step) {
    V row[kBlockVectors];
#pragma GCC unroll 2
    for (int v = 0; v < kBlockVectors; v++) row[v] = load(b + v * V::size);
#pragma GCC unroll 12
    for (int r = 0; r < kBlockRows; r++) {
      const V x(a[r * a_row]);
#pragma GCC unroll 2
      for (int v = 0; v < kBlockVectors; v++) acc[r][v] = fma(x, row[v], acc[r][v]);
    }
  }
#pragma GCC unroll 12
  for (int r = 0; r < kBlockRows; r++)
#pragma GCC unroll 2
    for (int v = 0; v < kBlockVectors; v++) store(acc[r][v], sum + r * ld + v * V::size);
}

}  // namespace tenon::TENON_TARGET
