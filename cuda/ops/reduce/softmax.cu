// One block a row: two reductions over the row (maximum and sum, or one of g y), each by shuffles
// in the warp and shared memory across warps. The row is read again rather than kept, so any length
// fits.
#include "cuda/ops/reduce/softmax.h"

#include <cmath>

#include "core/dtype/half.h"
#include "cuda/kit/launch.h"
#include "cuda/kit/reduce.h"

namespace tenon::cuda {
namespace {

template <class T>
struct SumTypeOf {
  using type = float;
};
template <>
struct SumTypeOf<double> {
  using type = double;
};
template <class T>
using SumType = typename SumTypeOf<T>::type;

TENON_DEVICE float exponential(float x) {
  return expf(x);
}
TENON_DEVICE double exponential(double x) {
  return exp(x);
}

TENON_DEVICE float logarithm(float x) {
  return logf(x);
}
TENON_DEVICE double logarithm(double x) {
  return log(x);
}

// Where row `row` starts. Its elements are `inner` apart.
TENON_DEVICE int64_t row_start(int64_t row, int64_t n, int64_t inner) {
  return row / inner * n * inner + row % inner;
}

// Rows are spread over the grid; more rows than blocks are taken in turns.
template <class T, bool Log>
TENON_KERNEL softmax_kernel(const T* x, T* y, int64_t rows, int64_t n, int64_t inner) {
  using S = SumType<T>;
  for (int64_t row = kit::block_x(); row < rows; row += kit::grid_x()) {
    const int64_t start = row_start(row, n, inner);
    const T* from = x + start;
    T* to = y + start;
    S largest = -INFINITY;
    for (int64_t i = kit::thread_index(); i < n; i += kit::block_threads())
      largest = kit::Max{}(largest, S(from[i * inner]));
    largest = kit::block_reduce(largest, kit::Max{});
    S sum = 0;
    for (int64_t i = kit::thread_index(); i < n; i += kit::block_threads())
      sum += exponential(S(from[i * inner]) - largest);
    sum = kit::block_reduce(sum, kit::Sum{});
    const S shift = Log ? largest + logarithm(sum) : largest, scale = S(1) / sum;
    for (int64_t i = kit::thread_index(); i < n; i += kit::block_threads()) {
      const S shifted = S(from[i * inner]) - shift;
      to[i * inner] = T(Log ? shifted : exponential(shifted) * scale);
    }
  }
}

template <class T, bool Log>
TENON_KERNEL softmax_backward_kernel(const T* g, const T* y, T* gx, int64_t rows, int64_t n,
                                     int64_t inner) {
  using S = SumType<T>;
  for (int64_t row = kit::block_x(); row < rows; row += kit::grid_x()) {
    const int64_t start = row_start(row, n, inner);
    S sum = 0;
    for (int64_t i = kit::thread_index(); i < n; i += kit::block_threads()) {
      const int64_t at = start + i * inner;
      sum += Log ? S(g[at]) : S(g[at]) * S(y[at]);
    }
    sum = kit::block_reduce(sum, kit::Sum{});
    for (int64_t i = kit::thread_index(); i < n; i += kit::block_threads()) {
      const int64_t at = start + i * inner;
      gx[at] = T(Log ? S(g[at]) - exponential(S(y[at])) * sum : S(y[at]) * (S(g[at]) - sum));
    }
  }
}

// Enough threads for a row, without idle warps in short ones.
int threads_for(int64_t n) {
  return n <= 32 ? 32 : n <= 128 ? 128 : 256;
}

template <class T, bool Log>
void launch_softmax(const T* x, T* y, int64_t rows, int64_t n, int64_t inner, StreamHandle stream) {
  launch<softmax_kernel<T, Log>>({kit::blocks_for(rows, 1)}, threads_for(n), 0, stream, x, y, rows,
                                 n, inner);
}
template <class T, bool Log>
void launch_softmax_backward(const T* g, const T* y, T* gx, int64_t rows, int64_t n, int64_t inner,
                             StreamHandle stream) {
  launch<softmax_backward_kernel<T, Log>>({kit::blocks_for(rows, 1)}, threads_for(n), 0, stream, g,
                                          y, gx, rows, n, inner);
}

}  // namespace

template <class T>
void softmax_rows(const T* x, T* y, int64_t outer, int64_t n, int64_t inner, bool log,
                  StreamHandle stream) {
  const int64_t rows = outer * inner;
  if (rows == 0 || n == 0) return;
  (log ? launch_softmax<T, true> : launch_softmax<T, false>)(x, y, rows, n, inner, stream);
}

template <class T>
void softmax_rows_backward(const T* g, const T* y, T* gx, int64_t outer, int64_t n, int64_t inner,
                           bool log, StreamHandle stream) {
  const int64_t rows = outer * inner;
  if (rows == 0 || n == 0) return;
  (log ? launch_softmax_backward<T, true> : launch_softmax_backward<T, false>)(g, y, gx, rows, n,
                                                                               inner, stream);
}

#define TENON_INSTANTIATE(T)                                                                      \
  template void softmax_rows<T>(const T*, T*, int64_t, int64_t, int64_t, bool, StreamHandle);     \
  template void softmax_rows_backward<T>(const T*, const T*, T*, int64_t, int64_t, int64_t, bool, \
                                         StreamHandle);
TENON_INSTANTIATE(double)
TENON_INSTANTIATE(float)
TENON_INSTANTIATE(bf16)
TENON_INSTANTIATE(f16)
#undef TENON_INSTANTIATE

}  // namespace tenon::cuda
