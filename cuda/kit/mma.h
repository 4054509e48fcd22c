// Tensor-core product of 16-bit matrices by one warp, and the loads that feed it. Fragment layouts
// are those of the PTX ISA, "Matrix Fragments for mma.m16n8k16 with floating point type".
#pragma once

#include "cuda/kit/warp.h"

namespace tenon::kit {

// What one lane holds, two elements to a register, the lower column (row, for B) in the low half.
// With g = lane / 4 and t = lane % 4, as {row, column} of the first of the two:
struct FragmentA {  // 16 x 16: {g, 2t}, {g + 8, 2t}, {g, 2t + 8}, {g + 8, 2t + 8}
  uint32_t r[4];
};
struct FragmentB {  // 16 x 8 (k x n): {2t, g}, {2t + 8, g}
  uint32_t r[2];
};
struct FragmentC {  // 16 x 8, one float each: {g, 2t}, {g, 2t + 1}, {g + 8, 2t}, {g + 8, 2t + 1}
  float r[4];
};

#if defined(__CUDACC__)

// Four 8x8 matrices of 16-bit elements: lane i gives the address of row i % 8 of matrix i / 8, and
// gets in r[j] elements {lane / 4, 2 * (lane % 4)} and the next one of matrix j.
TENON_DEVICE void ldmatrix_x4(uint32_t (&r)[4], const void* shared_row) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
// As above with each 8x8 matrix transposed.
TENON_DEVICE void ldmatrix_x4_transposed(uint32_t (&r)[4], const void* shared_row) {
  const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(shared_row));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address)
               : "memory");
}
// c += a b, products of bf16, sums in float.
TENON_DEVICE void mma_16816_bf16(FragmentC& c, const FragmentA& a, const FragmentB& b) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(c.r[0]), "+f"(c.r[1]), "+f"(c.r[2]), "+f"(c.r[3])
      : "r"(a.r[0]), "r"(a.r[1]), "r"(a.r[2]), "r"(a.r[3]), "r"(b.r[0]), "r"(b.r[1]));
}

#else

namespace detail {

struct LoadMatrixCall {
  const char* row;
  uint32_t* r;
};
template <bool Transposed>
void resolve_ldmatrix(void* const* data, uint32_t) {
  for (int matrix = 0; matrix < 4; ++matrix) {
    uint16_t element[8][8];
    for (int row = 0; row < 8; ++row)
      memcpy(element[row], static_cast<LoadMatrixCall*>(data[matrix * 8 + row])->row, 16);
    for (int lane = 0; lane < kWarpSize; ++lane) {
      const int g = lane / 4, t = 2 * (lane % 4);
      const uint32_t low = Transposed ? element[t][g] : element[g][t];
      const uint32_t high = Transposed ? element[t + 1][g] : element[g][t + 1];
      static_cast<LoadMatrixCall*>(data[lane])->r[matrix] = low | high << 16;
    }
  }
}

struct MmaCall {
  FragmentC& c;
  const FragmentA& a;
  const FragmentB& b;
};
inline float half_of(uint32_t pair, int which) {
  bf16 value;
  value.bits = static_cast<uint16_t>(which ? pair >> 16 : pair);
  return value;
}
inline void resolve_mma_bf16(void* const* data, uint32_t) {
  float a[16][16], b[16][8];
  for (int lane = 0; lane < kWarpSize; ++lane) {
    const auto& call = *static_cast<MmaCall*>(data[lane]);
    const int g = lane / 4, t = 2 * (lane % 4);
    for (int i = 0; i < 2; ++i) {
      a[g][t + i] = half_of(call.a.r[0], i);
      a[g + 8][t + i] = half_of(call.a.r[1], i);
      a[g][t + 8 + i] = half_of(call.a.r[2], i);
      a[g + 8][t + 8 + i] = half_of(call.a.r[3], i);
      b[t + i][g] = half_of(call.b.r[0], i);
      b[t + 8 + i][g] = half_of(call.b.r[1], i);
    }
  }
  for (int lane = 0; lane < kWarpSize; ++lane) {
    FragmentC& c = static_cast<MmaCall*>(data[lane])->c;
    const int g = lane / 4, t = 2 * (lane % 4);
    for (int i = 0; i < 4; ++i) {
      const int row = g + i / 2 * 8, column = t + i % 2;
      float sum = 0;
      for (int k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
      c.r[i] += sum;
    }
  }
}

template <bool Transposed>
void load_matrix(uint32_t (&r)[4], const void* row, const char* file, int line) {
  simt::require_aligned(row, 16, "ldmatrix row");
  LoadMatrixCall call{static_cast<const char*>(row), r};
  simt::warp_collective(kFullWarp, &resolve_ldmatrix<Transposed>, &call, file, line);
}

}  // namespace detail

inline void ldmatrix_x4(uint32_t (&r)[4], const void* shared_row, TENON_HERE) {
  detail::load_matrix<false>(r, shared_row, file, line);
}
inline void ldmatrix_x4_transposed(uint32_t (&r)[4], const void* shared_row, TENON_HERE) {
  detail::load_matrix<true>(r, shared_row, file, line);
}
inline void mma_16816_bf16(FragmentC& c, const FragmentA& a, const FragmentB& b, TENON_HERE) {
  detail::MmaCall call{c, a, b};
  simt::warp_collective(kFullWarp, &detail::resolve_mma_bf16, &call, file, line);
}

#endif

}  // namespace tenon::kit
