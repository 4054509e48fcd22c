// Registering a CPU kernel that is compiled once per instruction set (files *_cpu.cpp and the
// generated pointwise files): TENON_REGISTER_CPU(Softmax, softmax_cpu, nullptr) in namespace
// tenon::TENON_TARGET adds "base", "avx2" and "avx512", the best one first; a processor that lacks
// the instructions refuses with that reason.
#pragma once

#include "core/simd/target.h"
#include "ops/registry/op.h"

namespace tenon::TENON_TARGET {

// Which target this file is being compiled for.
inline constexpr Target kTarget = Target::TENON_TARGET;

inline const char* processor_lacks(const KernelCall&) {
  return "the processor lacks these instructions, or TENON_CPU_TARGET forbids them";
}

inline bool add_cpu_kernel(const char* op, void (*run)(const KernelCall&),
                           const char* (*accepts)(const KernelCall&)) {
  constexpr int rank = kTarget == Target::avx512 ? kRankAvx512
                       : kTarget == Target::avx2 ? kRankAvx2
                                                 : kRankBase;
  ::tenon::detail::add_implementation(op, {.name = name(kTarget),
                                           .rank = rank,
                                           .accepts = cpu_has(kTarget) ? accepts : processor_lacks,
                                           .run = run});
  return true;
}

}  // namespace tenon::TENON_TARGET

#define TENON_REGISTER_CPU(Op, run, accepts)                         \
  [[maybe_unused]] static const bool TENON_UNIQUE(cpu_registered_) = \
      ::tenon::TENON_TARGET::add_cpu_kernel(Op::traits.name, run, accepts)
