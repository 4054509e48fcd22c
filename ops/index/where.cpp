#include "ops/index/where.h"

#include "core/simd/parallel.h"
#include "ops/pointwise/binary.h"
#include "ops/pointwise/walk.h"
#include "ops/registry/plain.h"

namespace tenon {

TENON_REGISTER_OP(Where);

namespace {

// No arithmetic: elements are moved by size.
template <class Bits>
void where_bits(const KernelCall& call) {
  const Tensor& out = call.out[0];
  const Walk<4> walk(out.sizes(), {out.strides(), broadcast_strides(call.in[0], out.sizes()),
                                   broadcast_strides(call.in[1], out.sizes()),
                                   broadcast_strides(call.in[2], out.sizes())});
  const bool* cond = call.in[0].data<bool>();
  const Bits *a = static_cast<const Bits*>(call.in[1].raw()),
             *b = static_cast<const Bits*>(call.in[2].raw());
  Bits* y = static_cast<Bits*>(out.raw());
  const auto& step = walk.inner_stride;
  parallel_for(walk.outer, std::max<int64_t>(1, 32768 / std::max<int64_t>(walk.inner, 1)),
               [&](int64_t begin, int64_t end) {
                 walk.each(begin, end, [&](const auto& at) {
                   for (int64_t i = 0; i < walk.inner; ++i)
                     y[at[0] + i * step[0]] = cond[at[1] + i * step[1]] ? a[at[2] + i * step[2]]
                                                                        : b[at[3] + i * step[3]];
                 });
               });
}

void where_run(const KernelCall& call) {
  switch (dtype_size(call.out[0].dtype())) {
    case 1:
      return where_bits<uint8_t>(call);
    case 2:
      return where_bits<uint16_t>(call);
    case 4:
      return where_bits<uint32_t>(call);
    default:
      return where_bits<uint64_t>(call);
  }
}
TENON_REGISTER_KERNEL(Where, {.name = "ref", .run = where_run});

InputSpec bools(Dims shape) {
  InputSpec s = ints(std::move(shape), 0, 1);
  s.kind = InputSpec::Kind::Bool;
  return s;
}

}  // namespace

Metas Where::infer(const Attrs&, Inputs in) {
  check(in[0].dtype() == DType::boolean, ErrorKind::Usage, "where: the condition is {}, want bool",
        in[0].describe());
  check(in[1].dtype() == in[2].dtype(), ErrorKind::Usage, "where: {} or {}, want one dtype",
        in[1].describe(), in[2].describe());
  TensorMeta meta;
  meta.dtype = in[1].dtype();
  meta.sizes = broadcast_shape(broadcast_shape(in[0].sizes(), in[1].sizes(), traits.name),
                               in[2].sizes(), traits.name);
  for (const Tensor* t : {&in[1], &in[2]})
    if (t->sizes() == meta.sizes && t->is_dense()) {
      if (!t->is_contiguous()) meta.strides = t->strides();
      break;
    }
  return {meta};
}
TensorVec Where::backward(const Attrs&, const BackwardArgs& g) {
  const Tensor zero = Tensor::zeros({}, g.grad().dtype(), g.grad().device());
  TensorVec out(3);
  if (g.needs(1)) out[1] = sum_to(where(g.input(0), g.grad(), zero), g.input_meta(1).sizes);
  if (g.needs(2)) out[2] = sum_to(where(g.input(0), zero, g.grad()), g.input_meta(2).sizes);
  return out;
}
std::vector<Sample> Where::samples() {
  return {{"same", {bools({3, 7}), floats({3, 7}), floats({3, 7})}, make_attrs(Attrs{})},
          {"mask row", {bools({5}), floats({2, 5}), floats({})}, make_attrs(Attrs{})},
          {"outer", {bools({3, 1}), floats({4}), floats({3, 4})}, make_attrs(Attrs{})},
          {"image",
           {bools({2, 1, 3, 4}), floats({2, 5, 3, 4}), floats({2, 5, 3, 4})},
           make_attrs(Attrs{})},
          {"empty", {bools({0, 2}), floats({1, 2}), floats({0, 2})}, make_attrs(Attrs{})},
          {"integers", {bools({6}), ints({6}, 0, 9), ints({6}, 0, 9)}, make_attrs(Attrs{})},
          {"shapes", {bools({2}), floats({3}), floats({3})}, make_attrs(Attrs{}), 0, true},
          {"condition", {ints({3}, 0, 1), floats({3}), floats({3})}, make_attrs(Attrs{}), 0, true}};
}

Tensor where(const Tensor& cond, const Tensor& a, const Tensor& b) {
  return apply<Where>({}, {cond, a, b})[0];
}
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value) {
  return where(mask, Tensor::scalar(value, x.dtype(), x.device()), x);
}

}  // namespace tenon
