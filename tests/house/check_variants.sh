#!/usr/bin/env bash
# One binary serves all processors: files compiled for AVX2 and AVX-512 are entered only after a
# look at the processor. Their static initialisers, though, run when the library is loaded. So these
# may hold no vector registers, and may call nothing that only such files define.
#
#   check_variants.sh BUILD_FOLDER | --self-test COMPILER
set -u -o pipefail

# check BASELINE_OBJECT... -- VARIANT_OBJECT...: prints findings, fails if there are any.
check() {
  local baseline=() object findings=0 shared
  while [ "$1" != -- ]; do baseline+=("$1"); shift; done
  shift
  # The linker keeps the baseline's copy of what both define.
  shared=$(nm --defined-only --format=posix "${baseline[@]}" 2>/dev/null | awk 'NF > 1 {print $1}')
  for object in "$@"; do
    # objdump fails where there is no such section: no initialisers, nothing to find.
    { objdump -dr --no-show-raw-insn -j .text.startup "$object" 2>/dev/null || true; } | awk -v file="$object" '
      FNR == 1 { ++part }
      part == 1 { shared[$1]; next }
      part == 2 { if ($2 ~ /^[TtWV]$/) own[$1]; next }
      /%[xyz]mm[0-9]/ { print file ": vector register in an initialiser: " $0; bad = 1 }
      /R_X86_64_PLT32/ {
        name = $NF; sub(/[-+]0x[0-9a-f]+$/, "", name)
        if ((name in own) && !(name in shared)) {
          print file ": an initialiser calls " name ", which only this instruction set has"; bad = 1
        }
      }
      END { exit bad }' <(printf 'symbols\n%s\n' "$shared") \
      <(echo symbols; nm --defined-only --format=posix "$object") - || findings=1
  done
  return $findings
}

if [ "$1" = --self-test ]; then
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  cd "$work" || exit 1
  printf 'int base() { return 1; }\n' >base.cpp
  printf 'int base(); static int x = base(); int* use() { return &x; }\n' >good.cpp
  printf 'int none() { return 2; }\n' >none.cpp
  printf 'int n(); void take(const float*); static float v[16]; struct S { S() { for (int i = 0; i < 16; ++i) v[i] += 1.5f * v[i]; take(v); } }; static S s;\n' >vector.cpp
  printf 'int g(); __attribute__((noinline)) inline int only() { return g(); } static int x = only(); int* use() { return &x; }\n' >call.cpp
  for name in base good none vector call; do
    flags=-mavx512f
    [ $name != base ] || flags=
    "$2" -std=c++20 -O3 -fPIC $flags -c $name.cpp -o $name.o || exit 1
  done
  check base.o -- good.o none.o || { echo "refused a good file"; exit 1; }
  if check base.o -- vector.o; then echo "missed the vector register"; exit 1; fi
  if check base.o -- call.o; then echo "missed the call"; exit 1; fi
  exit 0
fi

mapfile -t variants < <(find "$1/CMakeFiles" -path '*tenon_ops_avx*' -name '*.o' | sort)
mapfile -t baseline < <(find "$1/CMakeFiles" -path '*/tenon_*' -name '*.o' \
  ! -path '*tenon_ops_avx*' ! -path '*_nvcc*' | sort)
[ ${#variants[@]} -gt 0 ] || { echo "no objects under $1"; exit 1; }
echo "${#variants[@]} objects compiled for newer processors"
check "${baseline[@]}" -- "${variants[@]}"
