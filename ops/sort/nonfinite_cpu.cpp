#include "core/simd/parallel.h"
#include "core/simd/vec.h"
#include "ops/registry/cpu.h"
#include "ops/sort/sort.h"

namespace tenon::TENON_TARGET {
namespace {

// x - x is 0 for finite x only. The common case reads one sum a stretch.
template <class T>
int64_t count_stretch(const T* x, int64_t n) {
  using V = vec_for<T>;
  V zero(0);
  for (int64_t i = 0; i < n; i += V::size) {
    const V v = load(x + i, n - i);
    zero += v - v;
  }
  if (horizontal_sum(zero) == 0) return 0;
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    const auto v = static_cast<typename V::Element>(x[i]);
    count += !(v - v == 0);
  }
  return count;
}

void nonfinite_count_cpu(const KernelCall& call) {
  const Tensor& x = call.in[0];
  int64_t* out = call.out[0].data<int64_t>();
  visit_float(x.dtype(), "nonfinite_count", [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* p = x.data<T>();
    *out = parallel_reduce_chunks(
        x.numel(), 32768, int64_t{0},
        [&](int64_t begin, int64_t end) { return count_stretch(p + begin, end - begin); },
        [](int64_t a, int64_t b) { return a + b; });
  });
}
// Dense memory in any order is counted as it lies.
const char* accepts(const KernelCall& call) {
  return call.in[0].is_dense() ? nullptr : "the memory has gaps";
}
TENON_REGISTER_CPU(NonfiniteCount, nonfinite_count_cpu, accepts);

}  // namespace
}  // namespace tenon::TENON_TARGET
