// The versions of winograd_cpu.cpp per instruction set.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

#define TENON_WINOGRAD(target)                       \
  namespace target {                                 \
  void winograd_forward(const KernelCall& call);     \
  void winograd_input_grad(const KernelCall& call);  \
  void winograd_weight_grad(const KernelCall& call); \
  }
TENON_WINOGRAD(avx2)
TENON_WINOGRAD(avx512)
#undef TENON_WINOGRAD

}  // namespace tenon
