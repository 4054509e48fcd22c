// Softmax along the middle axis of a row-major [outer, n, inner], and its gradient. T is double,
// float, bf16 or f16; sums are kept in float (double for double). Any sizes, 0 included.
#pragma once

#include <cstdint>

#include "cuda/runtime/stream.h"

namespace tenon::cuda {

// y = exp(x - max x) / sum exp(x - max x); with log its logarithm. y may be x.
template <class T>
void softmax_rows(const T* x, T* y, int64_t outer, int64_t n, int64_t inner, bool log,
                  StreamHandle stream);

// From the gradient g and the result y: gx = y (g - sum g y), or g - exp(y) sum g with log. gx may
// be g.
template <class T>
void softmax_rows_backward(const T* g, const T* y, T* gx, int64_t outer, int64_t n, int64_t inner,
                           bool log, StreamHandle stream);

}  // namespace tenon::cuda
