// Softmax of each row of a row-major matrix, and its gradient. T is double, float, bf16 or f16;
// sums are kept in float (double for double). Any number of rows and columns, 0 included.
#pragma once

#include <cstdint>

#include "cuda/runtime/stream.h"

namespace tenon::cuda {

// y[r, c] = exp(x[r, c] - max_c x[r, :]) / sum. y may be x.
template <class T>
void softmax_rows(const T* x, T* y, int64_t rows, int64_t columns, StreamHandle stream);

// gx[r, c] = y[r, c] (g[r, c] - sum_c g[r, :] y[r, :]), from the result y. gx may be g.
template <class T>
void softmax_rows_backward(const T* g, const T* y, T* gx, int64_t rows, int64_t columns,
                           StreamHandle stream);

}  // namespace tenon::cuda
