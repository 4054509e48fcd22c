// Blocks of 64 x 64 results, four warps of 32 x 32. The next 32 columns of A and rows of B come
// into the second half of shared memory by cp.async while the tensor cores work on the first. Tiles
// are padded to rows of 80 or 144 bytes, so that the eight rows ldmatrix reads lie in different
// banks.
#include "cuda/ops/linear/matmul.h"

#include "cuda/kit/cp_async.h"
#include "cuda/kit/launch.h"
#include "cuda/kit/mma.h"
#include "cuda/kit/vec128.h"

namespace tenon::cuda {
namespace {

constexpr int kTileM = 64, kTileN = 64, kTileK = 32, kThreads = 128, kPad = 8;
constexpr int kChunk = 8;  // elements in 16 bytes

// Brings rows x columns elements of a row-major matrix, of which the first rows_left x columns_left
// exist, into shared memory; the others become zero. With Aligned every row starts at a multiple of
// 16 bytes, and the copy is asynchronous.
template <bool Aligned, int Rows, int Columns>
TENON_DEVICE void load_tile(bf16* tile, const bf16* matrix, int64_t pitch, int64_t rows_left,
                            int64_t columns_left) {
  constexpr int per_row = Columns / kChunk;
  for (int i = kit::thread_index(); i < Rows * per_row; i += kThreads) {
    const int row = i / per_row, column = i % per_row * kChunk;
    bf16* to = tile + row * (Columns + kPad) + column;
    int64_t valid = row < rows_left ? columns_left - column : 0;
    valid = valid < 0 ? 0 : valid > kChunk ? kChunk : valid;
    const bf16* from = valid > 0 ? matrix + row * pitch + column : matrix;
    if constexpr (Aligned) {
      kit::cp_async_16(to, from, static_cast<int>(valid) * 2);
    } else {
      kit::Vec128<bf16> chunk;
      TENON_UNROLL
      for (int j = 0; j < kChunk; ++j) chunk.v[j] = j < valid ? from[j] : bf16(0.0f);
      kit::store128(to, chunk);
    }
  }
}

// c += the product of the warp's 32 rows of `a` and 32 columns of `b`.
template <bool TransA, bool TransB>
TENON_DEVICE void multiply_tiles(kit::FragmentC (&c)[2][4], const bf16* a, const bf16* b,
                                 int warp_m, int warp_n) {
  constexpr int pitch_a = (TransA ? kTileM : kTileK) + kPad,
                pitch_b = (TransB ? kTileK : kTileN) + kPad;
  const int lane = kit::lane_index();
  // Which row of which 8x8 matrix this lane addresses.
  const int row = lane % 16, half = lane / 16 * 8, odd = lane / 8 % 2 * 8;
  TENON_UNROLL
  for (int k = 0; k < kTileK; k += 16) {
    kit::FragmentA fa[2];
    TENON_UNROLL
    for (int i = 0; i < 2; ++i) {
      const int m = warp_m + i * 16;
      if constexpr (TransA)  // stored [k, m]
        kit::ldmatrix_x4_transposed(fa[i].r, a + (k + lane % 8 + half) * pitch_a + m + odd);
      else
        kit::ldmatrix_x4(fa[i].r, a + (m + row) * pitch_a + k + half);
    }
    kit::FragmentB fb[4];
    TENON_UNROLL
    for (int j = 0; j < 2; ++j) {  // two fragments of eight columns at a time
      uint32_t r[4];
      const int n = warp_n + j * 16;
      if constexpr (TransB) {  // stored [n, k]: rows of the 8x8 matrices are columns of B
        kit::ldmatrix_x4(r, b + (n + lane % 8 + half) * pitch_b + k + odd);
      } else {
        kit::ldmatrix_x4_transposed(r, b + (k + row) * pitch_b + n + half);
      }
      fb[2 * j] = {{r[0], r[1]}};
      fb[2 * j + 1] = {{r[2], r[3]}};
    }
    TENON_UNROLL
    for (int i = 0; i < 2; ++i) TENON_UNROLL
    for (int j = 0; j < 4; ++j) kit::mma_16816_bf16(c[i][j], fa[i], fb[j]);
  }
}

template <class Out, bool Aligned, bool TransA, bool TransB>
TENON_KERNEL matmul_kernel(const bf16* a, const bf16* b, Out* c, MatmulShape shape,
                           int first_batch) {
  constexpr int size_a = TransA ? kTileK * (kTileM + kPad) : kTileM * (kTileK + kPad);
  constexpr int size_b = TransB ? kTileN * (kTileK + kPad) : kTileK * (kTileN + kPad);
  TENON_SHARED(bf16, tile_a, 2 * size_a);
  TENON_SHARED(bf16, tile_b, 2 * size_b);
  const int64_t m = shape.m, n = shape.n, k = shape.k;
  const int64_t batch = first_batch + kit::block_y();
  const int64_t tiles_n = (n + kTileN - 1) / kTileN;
  const int64_t m0 = kit::block_x() / tiles_n * kTileM, n0 = kit::block_x() % tiles_n * kTileN;
  a += batch * shape.stride_a + (TransA ? m0 : m0 * k);
  b += batch * shape.stride_b + (TransB ? n0 * k : n0);
  c += batch * shape.stride_c + m0 * n + n0;

  const auto load = [&](int64_t k0, int stage) {
    bf16* to_a = tile_a + stage * size_a;
    bf16* to_b = tile_b + stage * size_b;
    if constexpr (TransA)
      load_tile<Aligned, kTileK, kTileM>(to_a, a + k0 * m, m, k - k0, m - m0);
    else
      load_tile<Aligned, kTileM, kTileK>(to_a, a + k0, k, m - m0, k - k0);
    if constexpr (TransB)
      load_tile<Aligned, kTileN, kTileK>(to_b, b + k0, k, n - n0, k - k0);
    else
      load_tile<Aligned, kTileK, kTileN>(to_b, b + k0 * n, n, k - k0, n - n0);
    kit::cp_async_commit();
  };

  const int warp_m = kit::warp_index() / 2 * 32, warp_n = kit::warp_index() % 2 * 32;
  kit::FragmentC sum[2][4] = {};
  int stage = 0;
  load(0, stage);
  for (int64_t k0 = 0; k0 < k; k0 += kTileK, stage ^= 1) {
    if (k0 + kTileK < k) {
      load(k0 + kTileK, stage ^ 1);
      kit::cp_async_wait<1>();
    } else {
      kit::cp_async_wait<0>();
    }
    kit::sync_block();
    multiply_tiles<TransA, TransB>(sum, tile_a + stage * size_a, tile_b + stage * size_b, warp_m,
                                   warp_n);
    kit::sync_block();  // before the next load overwrites this stage
  }

  const int g = kit::lane_index() / 4, t = kit::lane_index() % 4 * 2;
  TENON_UNROLL
  for (int i = 0; i < 2; ++i) TENON_UNROLL
  for (int j = 0; j < 4; ++j) TENON_UNROLL
  for (int e = 0; e < 4; ++e) {
    const int row = warp_m + i * 16 + g + e / 2 * 8, column = warp_n + j * 8 + t + e % 2;
    if (m0 + row < m && n0 + column < n) c[row * n + column] = Out(sum[i][j].r[e]);
  }
}

template <class Out, bool Aligned, bool TransA, bool TransB>
void launch_matmul(const bf16* a, const bf16* b, Out* c, const MatmulShape& shape,
                   StreamHandle stream) {
  const int64_t tiles = (shape.m + kTileM - 1) / kTileM * ((shape.n + kTileN - 1) / kTileN);
  constexpr int64_t most = 65535;  // a grid's limit in y
  for (int64_t first = 0; first < shape.batch; first += most) {
    const int64_t count = shape.batch - first < most ? shape.batch - first : most;
    launch<matmul_kernel<Out, Aligned, TransA, TransB>>(
        {static_cast<int>(tiles), static_cast<int>(count)}, kThreads, 0, stream, a, b, c, shape,
        static_cast<int>(first));
  }
}

}  // namespace

template <class Out>
void matmul_bf16(const bf16* a, const bf16* b, Out* c, const MatmulShape& shape, bool trans_a,
                 bool trans_b, StreamHandle stream) {
  if (shape.batch == 0 || shape.m == 0 || shape.n == 0) return;
  const int64_t pitch_a = trans_a ? shape.m : shape.k, pitch_b = trans_b ? shape.k : shape.n;
  const bool aligned = kit::is_aligned(a, 16) && kit::is_aligned(b, 16) && pitch_a % kChunk == 0 &&
                       pitch_b % kChunk == 0 && shape.stride_a % kChunk == 0 &&
                       shape.stride_b % kChunk == 0;
  using Launch = void (*)(const bf16*, const bf16*, Out*, const MatmulShape&, StreamHandle);
  constexpr Launch launches[2][2][2] = {
      {{launch_matmul<Out, false, false, false>, launch_matmul<Out, false, false, true>},
       {launch_matmul<Out, false, true, false>, launch_matmul<Out, false, true, true>}},
      {{launch_matmul<Out, true, false, false>, launch_matmul<Out, true, false, true>},
       {launch_matmul<Out, true, true, false>, launch_matmul<Out, true, true, true>}}};
  launches[aligned][trans_a][trans_b](a, b, c, shape, stream);
}

template void matmul_bf16<bf16>(const bf16*, const bf16*, bf16*, const MatmulShape&, bool, bool,
                                StreamHandle);
template void matmul_bf16<float>(const bf16*, const bf16*, float*, const MatmulShape&, bool, bool,
                                 StreamHandle);

}  // namespace tenon::cuda
