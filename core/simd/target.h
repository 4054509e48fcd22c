// Instruction-set targets: one binary serves every x86-64 machine.
//
// A file named *_cpu.cpp is compiled once per target with -DTENON_TARGET=base|avx2|avx512 (and emu
// for the kernel emulator); its content, and every inline function with vector code that it
// includes, lies in `namespace tenon::TENON_TARGET`, so that the linker never merges an AVX-512
// instance into code that runs on an older CPU. All other files are baseline code.
#pragma once

#ifndef TENON_TARGET
#define TENON_TARGET base
#endif

#define TENON_INLINE inline __attribute__((always_inline))

namespace tenon {

enum class Target { base, avx2, avx512 };

// True where the CPU and the operating system can run code compiled for `target`, and the variable
// TENON_CPU_TARGET (base, avx2 or avx512) does not force a lower one.
bool cpu_has(Target target);

// The highest target for which cpu_has() holds.
Target cpu_target();

// True where the CPU multiplies bfloat16 in hardware (AVX512_BF16 or AMX) and avx512 is not
// forbidden by TENON_CPU_TARGET.
bool cpu_has_bf16();

const char* name(Target target);

// Picks one function out of those compiled per target:
//   static const auto run = pick_target(base::run, avx2::run, avx512::run);
template <class F>
F pick_target(F base_version, F avx2_version, F avx512_version) {
  switch (cpu_target()) {
    case Target::avx512:
      return avx512_version;
    case Target::avx2:
      return avx2_version;
    case Target::base:
      break;
  }
  return base_version;
}

}  // namespace tenon
