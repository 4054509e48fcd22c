#include "ops/linear/gemm.h"

#include <algorithm>
#include <string>
#include <type_traits>

#include "core/base/error.h"
#include "core/simd/parallel.h"
#include "core/simd/target.h"
#include "ops/linear/gemm_targets.h"

#if TENON_HAVE_OPENBLAS
#include <cblas.h>
#endif

namespace tenon {
namespace {

#if TENON_HAVE_OPENBLAS
// OpenBLAS on its own pthreads would fight OpenMP's for the cores: such a build gets one thread,
// and we split C by rows instead. The OpenMP build shares our pool and splits better.
bool blas_shares_pool() {
  static const bool shares = [] {
    const bool openmp = openblas_get_parallel() == 2;
    if (!openmp) openblas_set_num_threads(1);
    return openmp;
  }();
  return shares;
}

template <class T>
void blas_call(const Gemm<T>& g, const T* a, const T* b, T* c, int64_t first, int64_t rows) {
  const auto ta = g.trans_a ? CblasTrans : CblasNoTrans, tb = g.trans_b ? CblasTrans : CblasNoTrans;
  const auto at = [](int64_t x) { return static_cast<blasint>(x); };
  const T* from = a + first * (g.trans_a ? 1 : g.lda);
  if constexpr (std::is_same_v<T, double>)
    cblas_dgemm(CblasRowMajor, ta, tb, at(rows), at(g.n), at(g.k), g.alpha, from, at(g.lda), b,
                at(g.ldb), g.beta, c + first * g.ldc, at(g.ldc));
  else
    cblas_sgemm(CblasRowMajor, ta, tb, at(rows), at(g.n), at(g.k), static_cast<float>(g.alpha),
                from, at(g.lda), b, at(g.ldb), static_cast<float>(g.beta), c + first * g.ldc,
                at(g.ldc));
}

template <class T>
void blas(const Gemm<T>& g) {
  apply_threads_to_openmp();
  const bool shared = blas_shares_pool();
  for (int64_t z = 0; z < g.batch; z++) {
    const T *a = g.a + z * g.stride_a, *b = g.b + z * g.stride_b;
    T* c = g.c + z * g.stride_c;
    if (shared)
      blas_call(g, a, b, c, 0, g.m);
    else
      parallel_for(g.m, std::max<int64_t>(64, (g.m + threads() - 1) / threads()),
                   [&](int64_t begin, int64_t end) { blas_call(g, a, b, c, begin, end - begin); });
  }
}

bool fits_blas_int(int64_t x) {
  return x <= INT32_MAX;
}

template <class T>
bool use_blas(const Gemm<T>& g) {
  if (!std::is_same_v<T, double> && !std::is_same_v<T, float>) return false;
  // Many matrices: our own kernel spreads them over the threads; a library call is one at a time.
  if (g.m * g.n < 64 * 64 || g.m * g.n * g.k < kSmallGemm) return false;
  if (in_parallel() && g.m * g.n * g.k < 8 * kSmallGemm) return false;
  return fits_blas_int(std::max({g.m, g.n, g.k, g.lda, g.ldb, g.ldc}));
}
#endif

}  // namespace

template <class T>
void gemm_own(const Gemm<T>& g) {
#if defined(__x86_64__)
  static const auto run =
      pick_target(base::gemm_tiles<T>, avx2::gemm_tiles<T>, avx512::gemm_tiles<T>);
#else
  static const auto run = base::gemm_tiles<T>;
#endif
  if (g.m > 0 && g.n > 0 && g.batch > 0) run(g);
}

template <class T>
void gemm(const Gemm<T>& g) {
#if TENON_HAVE_OPENBLAS
  if constexpr (std::is_same_v<T, double> || std::is_same_v<T, float>)
    if (use_blas(g)) return blas(g);
#endif
  gemm_own(g);
}

#define TENON_GEMM(T)                 \
  template void gemm(const Gemm<T>&); \
  template void gemm_own(const Gemm<T>&);
TENON_GEMM(double)
TENON_GEMM(float)
TENON_GEMM(bf16)
TENON_GEMM(f16)
#undef TENON_GEMM

const char* blas_name() {
#if TENON_HAVE_OPENBLAS
  static const std::string name = [] {
    std::string text = openblas_get_config();  // "OpenBLAS 0.3.21 NO_LAPACKE ..."
    const size_t end = text.find(' ', text.find(' ') + 1);
    const int parallel = openblas_get_parallel();
    return text.substr(0, end) + (parallel == 2   ? " (openmp)"
                                  : parallel == 1 ? " (pthreads)"
                                                  : " (serial)");
  }();
  return name.c_str();
#else
  return "";
#endif
}

}  // namespace tenon
