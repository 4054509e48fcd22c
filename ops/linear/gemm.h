// Matrix products on raw memory, row-major: C = alpha * op(A) op(B) + beta * C, where op(X) is X or
// its transpose, op(A) is m x k, op(B) is k x n, and lda, ldb, ldc are the row lengths in memory.
//
// f64 and f32 of some size go to OpenBLAS where the build has it; small ones and the 2-byte types
// go to our own kernel, which converts while it packs and accumulates in f32. beta = 0 never reads
// C. Results do not depend on the number of threads in our own kernel; OpenBLAS may choose another
// split. Called inside a parallel loop, all run on the calling thread.
#pragma once

#include <cstdint>

#include "core/dtype/half.h"

namespace tenon {

// Number k*n-product from which a library call is worth its overhead (m * n * k).
inline constexpr int64_t kSmallGemm = 96 * 96 * 96;

template <class T>  // double, float, bf16, f16
struct Gemm {
  bool trans_a = false, trans_b = false;
  int64_t m = 0, n = 0, k = 0;
  const T* a = nullptr;
  int64_t lda = 0;
  const T* b = nullptr;
  int64_t ldb = 0;
  T* c = nullptr;
  int64_t ldc = 0;
  double alpha = 1, beta = 0;
  // The same product on `batch` matrices, these many elements apart (0 = the same one; not for C).
  int64_t batch = 1, stride_a = 0, stride_b = 0, stride_c = 0;
};

template <class T>
void gemm(const Gemm<T>& g);

// Our own kernel, whatever the size.
template <class T>
void gemm_own(const Gemm<T>& g);

// "OpenBLAS 0.3.21 (openmp)" or "" without it; for --version.
const char* blas_name();

}  // namespace tenon
