// Registering a CPU kernel that is compiled once per instruction set (files *_cpu.cpp and the
// generated pointwise files): TENON_REGISTER_CPU(Softmax, softmax_cpu, nullptr) in namespace
// tenon::TENON_TARGET adds "base", "avx2" and "avx512", the best one first; a processor that lacks
// the instructions refuses with that reason.
#pragma once

#include "core/simd/target.h"
#include "ops/registry/op.h"

namespace tenon::detail {

// Baseline code on purpose: this runs when the library is loaded, on any processor. Callers in a
// file compiled for newer processors pass scalars only, so that no vector code comes before.
void add_cpu_implementation(const char* op, Target target, void (*run)(const KernelCall&),
                            const char* (*accepts)(const KernelCall&));

}  // namespace tenon::detail

namespace tenon::TENON_TARGET {

// Which target this file is being compiled for.
inline constexpr Target kTarget = Target::TENON_TARGET;

TENON_INLINE bool add_cpu_kernel(const char* op, void (*run)(const KernelCall&),
                                 const char* (*accepts)(const KernelCall&)) {
  ::tenon::detail::add_cpu_implementation(op, kTarget, run, accepts);
  return true;
}

}  // namespace tenon::TENON_TARGET

#define TENON_REGISTER_CPU(Op, run, accepts)                         \
  [[maybe_unused]] static const bool TENON_UNIQUE(cpu_registered_) = \
      ::tenon::TENON_TARGET::add_cpu_kernel(Op::traits.name, run, accepts)
