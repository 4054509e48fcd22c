// Included by the generated files that compile the pointwise ops for one instruction set. Gives
// TENON_REGISTER_UNARY and TENON_REGISTER_BINARY their meaning there: kernels for TENON_TARGET, and
// with the baseline target also the contract and the double reference.
#pragma once

#define TENON_REGISTER_UNARY(Struct, fn)                                                \
  namespace TENON_TARGET {                                                              \
  struct Struct##Named : Struct {                                                       \
    static constexpr const char* kName = #fn;                                           \
    static constexpr const char* kBackwardName = #fn "_backward";                       \
  };                                                                                    \
  [[maybe_unused]] static const bool registered_##fn = register_unary<Struct##Named>(); \
  }
#define TENON_REGISTER_BINARY(Struct, fn)                                                \
  namespace TENON_TARGET {                                                               \
  struct Struct##Named : Struct {                                                        \
    static constexpr const char* kName = #fn;                                            \
  };                                                                                     \
  [[maybe_unused]] static const bool registered_##fn = register_binary<Struct##Named>(); \
  }

#include "core/simd/parallel.h"
#include "core/simd/target.h"
#include "ops/pointwise/contract.h"
#include "ops/pointwise/loops.h"
