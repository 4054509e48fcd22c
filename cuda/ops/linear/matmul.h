// Products of bf16 matrices on tensor cores, sums in float.
#pragma once

#include <cstdint>

#include "core/dtype/half.h"
#include "cuda/runtime/stream.h"

namespace tenon::cuda {

// A batch of matrix products; all matrices are row-major. Strides count elements from one matrix of
// the batch to the next; 0 repeats the same matrix.
struct MatmulShape {
  int64_t batch = 1, m = 0, n = 0, k = 0;
  int64_t stride_a = 0, stride_b = 0, stride_c = 0;
};

// c[m, n] = sum_k a[m, k] b[k, n]; a is stored [k, m] with trans_a, b is stored [n, k] with
// trans_b. Any sizes, 0 included; k = 0 gives
// zeros. Out is bf16 or float.
template <class Out>
void matmul_bf16(const bf16* a, const bf16* b, Out* c, const MatmulShape& shape, bool trans_a,
                 bool trans_b, StreamHandle stream);

}  // namespace tenon::cuda
