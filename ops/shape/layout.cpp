// The differentiable form of a change of memory order.
#include "ops/pointwise/cast.h"

namespace tenon {

// The same values in row-major or channels-last memory. Its own op, because a view cannot do it and
// the gradient should come back without a second copy.
struct ToLayout {
  struct Attrs {
    bool channels_last;
  };
  static constexpr OpTraits traits{.name = "to_layout",
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in) {
    check(!a.channels_last || in[0].rank() == 4, ErrorKind::Usage,
          "to_layout: channels-last wants rank 4, got {}", in[0].describe());
    return {{in[0].sizes(), in[0].dtype(),
             a.channels_last ? channels_last_strides(in[0].sizes()) : Dims{}}};
  }
  static TensorVec backward(const Attrs&, const BackwardArgs& g) { return {g.grad()}; }
  static std::vector<Sample> samples() {
    return {{"to channels-last", {floats({2, 5, 3, 4})}, make_attrs(Attrs{true})},
            {"to row-major", {floats({2, 5, 3, 4})}, make_attrs(Attrs{false})},
            {"empty", {floats({2, 0, 3, 4})}, make_attrs(Attrs{true})},
            {"scalar", {floats({})}, make_attrs(Attrs{false})},
            {"rank 3", {floats({2, 5, 3})}, make_attrs(Attrs{true}), 0, true}};
  }
};
TENON_REGISTER_OP(ToLayout);

namespace {
void to_layout_run(const KernelCall& call) {
  copy_values(call.in[0], call.out[0]);
}
TENON_REGISTER_KERNEL(ToLayout, {.name = "ref", .rank = kRankRef, .run = to_layout_run});
TENON_REGISTER_KERNEL(ToLayout, {.name = "copy",
                                 .device = DeviceKind::CUDA,
                                 .rank = kRankCuda,
                                 .run = to_layout_run});
}  // namespace

Tensor contiguous(const Tensor& x) {
  return x.is_contiguous() ? x : apply<ToLayout>({false}, {x})[0];
}
Tensor channels_last(const Tensor& x) {
  return x.rank() == 4 && x.is_channels_last() ? x : apply<ToLayout>({true}, {x})[0];
}

}  // namespace tenon
