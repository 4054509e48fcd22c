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

// Rows are spread over the grid; more rows than blocks are taken in turns.
template <class T>
TENON_KERNEL softmax_kernel(const T* x, T* y, int64_t rows, int64_t columns) {
  using S = SumType<T>;
  for (int64_t row = kit::block_x(); row < rows; row += kit::grid_x()) {
    const T* from = x + row * columns;
    T* to = y + row * columns;
    S largest = -INFINITY;
    for (int64_t c = kit::thread_index(); c < columns; c += kit::block_threads())
      largest = kit::Max{}(largest, S(from[c]));
    largest = kit::block_reduce(largest, kit::Max{});
    S sum = 0;
    for (int64_t c = kit::thread_index(); c < columns; c += kit::block_threads())
      sum += exponential(S(from[c]) - largest);
    const S scale = S(1) / kit::block_reduce(sum, kit::Sum{});
    for (int64_t c = kit::thread_index(); c < columns; c += kit::block_threads())
      to[c] = T(exponential(S(from[c]) - largest) * scale);
  }
}

template <class T>
TENON_KERNEL softmax_backward_kernel(const T* g, const T* y, T* gx, int64_t rows, int64_t columns) {
  using S = SumType<T>;
  for (int64_t row = kit::block_x(); row < rows; row += kit::grid_x()) {
    const int64_t start = row * columns;
    S sum = 0;
    for (int64_t c = kit::thread_index(); c < columns; c += kit::block_threads())
      sum += S(g[start + c]) * S(y[start + c]);
    sum = kit::block_reduce(sum, kit::Sum{});
    for (int64_t c = kit::thread_index(); c < columns; c += kit::block_threads())
      gx[start + c] = T(S(y[start + c]) * (S(g[start + c]) - sum));
  }
}

// Enough threads for a row, without idle warps in short ones.
int threads_for(int64_t columns) {
  return columns <= 32 ? 32 : columns <= 128 ? 128 : 256;
}

}  // namespace

template <class T>
void softmax_rows(const T* x, T* y, int64_t rows, int64_t columns, StreamHandle stream) {
  if (rows == 0 || columns == 0) return;
  launch<softmax_kernel<T>>({kit::blocks_for(rows, 1)}, threads_for(columns), 0, stream, x, y, rows,
                            columns);
}

template <class T>
void softmax_rows_backward(const T* g, const T* y, T* gx, int64_t rows, int64_t columns,
                           StreamHandle stream) {
  if (rows == 0 || columns == 0) return;
  launch<softmax_backward_kernel<T>>({kit::blocks_for(rows, 1)}, threads_for(columns), 0, stream, g,
                                     y, gx, rows, columns);
}

#define TENON_INSTANTIATE(T)                                                   \
  template void softmax_rows<T>(const T*, T*, int64_t, int64_t, StreamHandle); \
  template void softmax_rows_backward<T>(const T*, const T*, T*, int64_t, int64_t, StreamHandle);
TENON_INSTANTIATE(double)
TENON_INSTANTIATE(float)
TENON_INSTANTIATE(bf16)
TENON_INSTANTIATE(f16)
#undef TENON_INSTANTIATE

}  // namespace tenon::cuda
