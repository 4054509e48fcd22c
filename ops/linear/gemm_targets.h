// The versions of our matrix product per instruction set (gemm_cpu.cpp).
#pragma once

#include "ops/linear/gemm.h"

namespace tenon {

#define TENON_GEMM_TARGET(target)          \
  namespace target {                       \
  template <class T>                       \
  void gemm_tiles(const Gemm<T>& problem); \
  }
TENON_GEMM_TARGET(base)
#if defined(__x86_64__)
TENON_GEMM_TARGET(avx2)
TENON_GEMM_TARGET(avx512)
#endif
#undef TENON_GEMM_TARGET

}  // namespace tenon
