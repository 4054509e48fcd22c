#include "ops/pointwise/inplace.h"

#include "ops/pointwise/loops.h"

namespace tenon::TENON_TARGET {
namespace {

void add_into_cpu(const KernelCall& call) {
  visit_float(call.in[0].dtype(), "add_into", [&](auto tag) {
    using T = typename decltype(tag)::type;
    map_tensors<T, 2>(
        call.in, call.in[0], [](auto a, auto b) __attribute__((always_inline)) { return a + b; });
  });
}
TENON_REGISTER_CPU(AddInto, add_into_cpu, nullptr);

}  // namespace
}  // namespace tenon::TENON_TARGET
