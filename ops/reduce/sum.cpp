#include <algorithm>

#include "autograd/engine.h"
#include "ops/ops.h"
#include "ops/pointwise/walk.h"

namespace tenon {

TENON_REGISTER_OP(Sum);

Dims normalise_axes(Dims axes, int64_t rank, const char* op) {
  for (int64_t& d : axes) d = wrap_dim(d, rank, op);
  std::sort(axes.begin(), axes.end());
  for (size_t i = 1; i < axes.size(); ++i)
    check(axes[i] != axes[i - 1], ErrorKind::Usage, "{}: axis {} is given twice", op, axes[i]);
  return axes;
}

Dims reduced_shape(const Dims& sizes, const Dims& axes, bool keepdim) {
  Dims out;
  size_t at = 0;
  for (size_t d = 0; d < sizes.size(); ++d) {
    const bool reduced = at < axes.size() && axes[at] == static_cast<int64_t>(d);
    if (reduced) ++at;
    if (!reduced)
      out.push_back(sizes[d]);
    else if (keepdim)
      out.push_back(1);
  }
  return out;
}

Dims summed_strides(const Dims& sizes, const Dims& axes) {
  const Dims kept = contiguous_strides(reduced_shape(sizes, axes, true));
  Dims strides(sizes.size());
  size_t at = 0;
  for (size_t d = 0; d < strides.size(); ++d) {
    const bool reduced = at < axes.size() && axes[at] == static_cast<int64_t>(d);
    if (reduced) ++at;
    strides[d] = reduced ? 0 : kept[d];
  }
  return strides;
}

Metas Sum::infer(const Attrs& a, Inputs in) {
  const Dims axes = normalise_axes(a.axes, in[0].rank(), "sum");
  const DType dtype = in[0].dtype();
  return {
      {reduced_shape(in[0].sizes(), axes, a.keepdim), is_float(dtype) ? dtype : DType::i64, {}}};
}

TensorVec Sum::backward(const Attrs& a, const BackwardArgs& g) {
  const Dims& sizes = g.input_meta(0).sizes;
  return {expand(reshape(g.grad(), reduced_shape(sizes, a.axes, true)), sizes)};
}

std::vector<Sample> Sum::samples() {
  return {{"all", {floats({3, 5, 7})}, make_attrs(Attrs{{0, 1, 2}, false})},
          {"rows", {floats({6, 37})}, make_attrs(Attrs{{1}, false})},
          {"columns", {floats({37, 6})}, make_attrs(Attrs{{0}, true})},
          {"outer", {floats({3, 5, 4, 2})}, make_attrs(Attrs{{0, 2, 3}, true})},
          {"nothing", {floats({3, 2})}, make_attrs(Attrs{{}, false})},
          {"empty", {floats({0, 3})}, make_attrs(Attrs{{0}, false})},
          {"scalar", {floats({})}, make_attrs(Attrs{{}, false})},
          {"integers", {ints({4, 9}, -5, 5)}, make_attrs(Attrs{{1}, false})},
          {"twice", {floats({3, 2})}, make_attrs(Attrs{{0, 0}, false}), 0, true},
          {"outside", {floats({3, 2})}, make_attrs(Attrs{{2}, false}), 0, true}};
}

Tensor sum(const Tensor& x, Dims axes, bool keepdim) {
  return apply<Sum>({normalise_axes(std::move(axes), x.rank(), "sum"), keepdim}, {x})[0];
}
Tensor sum(const Tensor& x) {
  Dims axes;
  for (int64_t d = 0; d < x.rank(); ++d) axes.push_back(d);
  return sum(x, axes);
}
Tensor mean(const Tensor& x, Dims axes, bool keepdim) {
  axes = normalise_axes(std::move(axes), x.rank(), "mean");
  int64_t n = 1;
  for (const int64_t d : axes) n *= x.size(d);
  return affine(sum(x, axes, keepdim), 1.0 / static_cast<double>(n), 0);
}
Tensor mean(const Tensor& x) {
  return affine(sum(x), 1.0 / static_cast<double>(x.numel()), 0);
}

namespace {

// Plain loops in double.
void sum_ref(const KernelCall& call) {
  const auto& a = call.get<Sum::Attrs>();
  const Tensor& x = call.in[0];
  const Tensor& out = call.out[0];
  const Dims strides = summed_strides(x.sizes(), a.axes);
  visit_all(x.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using A = std::conditional_t<is_float(dtype_of<T>), double, int64_t>;
    using R = std::conditional_t<is_float(dtype_of<T>), T, int64_t>;
    std::vector<A> total(static_cast<size_t>(out.numel()));
    const Walk<2> walk(x.sizes(), {x.strides(), strides});
    const T* p = x.data<T>();
    walk.each(0, walk.outer, [&](const auto& o) {
      for (int64_t i = 0; i < walk.inner; ++i)
        total[static_cast<size_t>(o[1] + i * walk.inner_stride[1])] +=
            static_cast<A>(p[o[0] + i * walk.inner_stride[0]]);
    });
    R* y = out.data<R>();
    for (size_t i = 0; i < total.size(); ++i) y[i] = static_cast<R>(total[i]);
  });
}
TENON_REGISTER_KERNEL(Sum, {.name = "ref", .rank = kRankRef, .run = sum_ref});

// What autograd needs to add gradients up.
const bool g_sums = [] {
  set_accumulate_ops({[](const Tensor& a, const Tensor& b) { return add(a, b); },
                      [](const Tensor& into, const Tensor& x) { add_into(into, x); }});
  return true;
}();

}  // namespace

}  // namespace tenon
