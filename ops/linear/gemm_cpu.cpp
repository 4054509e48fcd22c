// Our own matrix product: C in tiles, one task each, so the result does not depend on the threads.
// A task packs a block of A and of B (converting to the computing type), runs the register kernel
// over them for all of k into a tile of sums, and writes the tile once.
#include <algorithm>
#include <memory>

#include "core/simd/parallel.h"
#include "core/simd/vec.h"
#include "ops/linear/gemm.h"
#include "ops/linear/gemm_targets.h"
#include "ops/linear/register_kernel_cpu.h"

namespace tenon::TENON_TARGET {
namespace {

constexpr int kRows = kBlockRows, kVectors = kBlockVectors;
constexpr int64_t kDepth = 256;  // k of one packed block: kRows + kColumns rows of it fit in L1
constexpr int64_t kTileRows = 96, kTileColumns = 256;
static_assert(kTileRows % kRows == 0);

template <class T>
struct Compute {
  using type = float;
};
template <>
struct Compute<double> {
  using type = double;
};

// Panels of `width` columns of the depth x count matrix X (element (p, i) at x[p*sp + i*si]):
// out[panel][p][i], zeros beyond count.
template <class T, class C>
void pack(const T* x, int64_t sp, int64_t si, int64_t depth, int64_t count, int64_t width, C* out) {
  for (int64_t i0 = 0; i0 < count; i0 += width, out += width * depth) {
    const int64_t here = std::min(width, count - i0);
    const T* from = x + i0 * si;
    if (si == 1) {
      using V = vec_for<T>;
      for (int64_t p = 0; p < depth; p++) {
        C* to = out + p * width;
        int64_t i = 0;
        for (; i + V::size <= here; i += V::size) store(load(from + p * sp + i), to + i);
        for (; i < here; i++) to[i] = static_cast<C>(from[p * sp + i]);
        for (; i < width; i++) to[i] = C(0);
      }
    } else {
      for (int64_t i = 0; i < here; i++)
        for (int64_t p = 0; p < depth; p++)
          out[p * width + i] = static_cast<C>(from[p * sp + i * si]);
      for (int64_t i = here; i < width; i++)
        for (int64_t p = 0; p < depth; p++) out[p * width + i] = C(0);
    }
  }
}

template <class T, class C>
void write_tile(const C* sum, int64_t ld, int64_t rows, int64_t columns, double alpha, double beta,
                T* c, int64_t ldc) {
  using V = vec_for<T>;
  const V va(static_cast<C>(alpha)), vb(static_cast<C>(beta));
  for (int64_t r = 0; r < rows; r++) {
    T* row = c + r * ldc;
    for (int64_t j = 0; j < columns; j += V::size) {
      const int64_t n = columns - j;
      V y = load(sum + r * ld + j) * va;
      if (beta != 0) y = fma(load(row + j, n), vb, y);
      store(y, row + j, n);
    }
  }
}

template <class T>
void gemm_tile(const Gemm<T>& g, const T* a, const T* b, T* c, int64_t i0, int64_t j0) {
  using C = typename Compute<T>::type;
  using V = vec_for<T>;
  constexpr int64_t kColumns = kVectors * V::size;
  const int64_t rows = std::min(kTileRows, g.m - i0), columns = std::min(kTileColumns, g.n - j0);
  const int64_t row_panels = (rows + kRows - 1) / kRows;
  const int64_t column_panels = (columns + kColumns - 1) / kColumns;
  const int64_t ld = column_panels * kColumns;
  thread_local std::unique_ptr<C[]> scratch;
  if (!scratch)
    scratch = std::make_unique<C[]>(kTileRows * kTileColumns + kDepth * (kTileRows + kTileColumns));
  C* sum = scratch.get();
  C* packed_a = sum + kTileRows * kTileColumns;
  C* packed_b = packed_a + kDepth * kTileRows;
  std::fill(sum, sum + row_panels * kRows * ld, C(0));
  const int64_t sa_p = g.trans_a ? g.lda : 1, sa_i = g.trans_a ? 1 : g.lda;
  const int64_t sb_p = g.trans_b ? 1 : g.ldb, sb_j = g.trans_b ? g.ldb : 1;
  for (int64_t p0 = 0; p0 < g.k; p0 += kDepth) {
    const int64_t depth = std::min(kDepth, g.k - p0);
    pack(a + p0 * sa_p + i0 * sa_i, sa_p, sa_i, depth, rows, kRows, packed_a);
    pack(b + p0 * sb_p + j0 * sb_j, sb_p, sb_j, depth, columns, kColumns, packed_b);
    for (int64_t jp = 0; jp < column_panels; jp++)
      for (int64_t ip = 0; ip < row_panels; ip++)
        register_kernel<V, true>(depth, packed_a + ip * kRows * depth, 1, kRows,
                                 packed_b + jp * kColumns * depth, kColumns,
                                 sum + ip * kRows * ld + jp * kColumns, ld);
  }
  write_tile(sum, ld, rows, columns, g.alpha, g.beta, c + i0 * g.ldc + j0, g.ldc);
}

}  // namespace

template <class T>
void gemm_tiles(const Gemm<T>& g) {
  const int64_t tiles_m = (g.m + kTileRows - 1) / kTileRows;
  const int64_t tiles_n = (g.n + kTileColumns - 1) / kTileColumns;
  const int64_t per_matrix = tiles_m * tiles_n;
  const int64_t work =
      std::min(kTileRows, g.m) * std::min(kTileColumns, g.n) * std::max<int64_t>(g.k, 1);
  const int64_t grain = std::max<int64_t>(1, 300000 / std::max<int64_t>(work, 1));
  parallel_for(g.batch * per_matrix, grain, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; t++) {
      const int64_t z = t / per_matrix, tile = t % per_matrix;
      gemm_tile(g, g.a + z * g.stride_a, g.b + z * g.stride_b, g.c + z * g.stride_c,
                tile / tiles_n * kTileRows, tile % tiles_n * kTileColumns);
    }
  });
}

template void gemm_tiles(const Gemm<double>&);
template void gemm_tiles(const Gemm<float>&);
template void gemm_tiles(const Gemm<bf16>&);
template void gemm_tiles(const Gemm<f16>&);

}  // namespace tenon::TENON_TARGET
