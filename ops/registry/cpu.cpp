#include "ops/registry/cpu.h"

namespace tenon::detail {

namespace {

const char* processor_lacks(const KernelCall&) {
  return "the processor lacks these instructions, or TENON_CPU_TARGET forbids them";
}

}  // namespace

void add_cpu_implementation(const char* op, Target target, void (*run)(const KernelCall&),
                            const char* (*accepts)(const KernelCall&)) {
  const int rank = target == Target::avx512 ? kRankAvx512
                   : target == Target::avx2 ? kRankAvx2
                                            : kRankBase;
  add_implementation(op, {.name = name(target),
                          .rank = rank,
                          .accepts = cpu_has(target) ? accepts : processor_lacks,
                          .run = run});
}

}  // namespace tenon::detail
