#include "core/simd/target.h"

#include <cstdlib>
#include <string_view>

#include "core/base/error.h"

namespace tenon {
namespace {

Target detect() {
#if defined(__x86_64__)
  // The compiler's run-time checks ask the operating system (xgetbv) as well.
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return Target::avx512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return Target::avx2;
#endif
  return Target::base;
}

Target choose() {
  const Target have = detect();
  const char* text = std::getenv("TENON_CPU_TARGET");
  if (!text || !*text) return have;
  for (Target target : {Target::base, Target::avx2, Target::avx512})
    if (std::string_view(text) == name(target)) return target < have ? target : have;
  throw_hint(ErrorKind::Usage, "use base, avx2 or avx512, or unset it",
             "TENON_CPU_TARGET is \"{}\", which is no instruction-set target", text);
}

bool detect_bf16() {
#if defined(__x86_64__)
  // cpuid leaf 7: AVX512_BF16 is bit 5 of eax in subleaf 1, AMX-BF16 bit 22 of edx in subleaf 0.
  unsigned a = 0, b = 0, c = 0, d = 0;
  asm volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(0), "c"(0));
  if (a < 7) return false;
  asm volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(0));
  const unsigned last_subleaf = a;
  if (d & (1u << 22)) return true;
  if (last_subleaf < 1) return false;
  asm volatile("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(7), "c"(1));
  return (a & (1u << 5)) != 0;
#else
  return false;
#endif
}

}  // namespace

Target cpu_target() {
  static const Target target = choose();
  return target;
}

bool cpu_has(Target target) {
  return target <= cpu_target();
}

bool cpu_has_bf16() {
  static const bool has = detect_bf16();
  return has && cpu_has(Target::avx512);
}

const char* name(Target target) {
  switch (target) {
    case Target::avx2:
      return "avx2";
    case Target::avx512:
      return "avx512";
    case Target::base:
      break;
  }
  return "base";
}

}  // namespace tenon
