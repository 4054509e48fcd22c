#include "ops/pointwise/inplace.h"

#include "ops/pointwise/walk.h"

namespace tenon {

TENON_REGISTER_OP(AddInto);

Metas AddInto::infer(const Attrs&, Inputs in) {
  check(in[0].sizes() == in[1].sizes() && is_float(in[0].dtype()), ErrorKind::Usage,
        "add_into: {} into {}", in[1].describe(), in[0].describe());
  return {};
}
std::vector<Sample> AddInto::samples() {
  return {{"odd", {floats({3, 37}), floats({3, 37})}, make_attrs(Attrs{})},
          {"image", {floats({2, 5, 3, 4}), floats({2, 5, 3, 4})}, make_attrs(Attrs{})},
          {"scalar", {floats({}), floats({})}, make_attrs(Attrs{})},
          {"empty", {floats({0, 3}), floats({0, 3})}, make_attrs(Attrs{})},
          {"shapes differ", {floats({3}), floats({4})}, make_attrs(Attrs{}), 0, true}};
}

namespace {
void add_into_ref(const KernelCall& call) {
  const Walk<2> walk(call.in[0].sizes(), {call.in[0].strides(), call.in[1].strides()});
  visit_float(call.in[0].dtype(), "add_into", [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* a = call.in[0].data<T>();
    const T* b = call.in[1].data<T>();
    walk.each(0, walk.outer, [&](const auto& at) {
      for (int64_t i = 0; i < walk.inner; ++i) {
        T& sum = a[at[0] + i * walk.inner_stride[0]];
        sum = static_cast<T>(static_cast<double>(sum) +
                             static_cast<double>(b[at[1] + i * walk.inner_stride[1]]));
      }
    });
  });
}
TENON_REGISTER_KERNEL(AddInto, {.name = "ref", .rank = kRankRef, .run = add_into_ref});
}  // namespace

}  // namespace tenon
