#include "ops/reduce/extreme.h"

#include <cmath>

#include "ops/ops.h"
#include "ops/pointwise/walk.h"
#include "ops/registry/plain.h"

namespace tenon {

TENON_REGISTER_OP(Amax);
TENON_REGISTER_OP(Amin);
TENON_REGISTER_OP(Argmax);
TENON_REGISTER_OP(Cumsum);

namespace {

Dims all_axes(const Tensor& x) {
  Dims axes;
  for (int64_t d = 0; d < x.rank(); ++d) axes.push_back(d);
  return axes;
}

InputSpec distinct(Dims shape) {
  InputSpec s = floats(std::move(shape));
  s.apart = 0.05;
  return s;
}

template <bool Max>
void extreme_ref(const KernelCall& call) {
  const Tensor& x = call.in[0];
  const auto& a = call.get<typename Extreme<Max>::Attrs>();
  const auto values = doubles(x);
  std::vector<double> best(static_cast<size_t>(call.out[0].numel()), Max ? -INFINITY : INFINITY);
  const Walk<2> walk(x.sizes(), {contiguous_strides(x.sizes()), summed_strides(x.sizes(), a.axes)});
  walk.each(0, walk.outer, [&](const auto& at) {
    for (int64_t i = 0; i < walk.inner; ++i) {
      const double v = values[static_cast<size_t>(at[0] + i * walk.inner_stride[0])];
      double& b = best[static_cast<size_t>(at[1] + i * walk.inner_stride[1])];
      if (std::isnan(v) || (Max ? v > b : v < b)) b = v;
    }
  });
  fill(call.out[0], best);
}

void argmax_ref(const KernelCall& call) {
  const auto x = doubles(call.in[0]);
  const Around a(call.in[0].sizes(), call.get<Argmax::Attrs>().dim);
  std::vector<int64_t> out;
  for (int64_t o = 0; o < a.outer; ++o)
    for (int64_t i = 0; i < a.inner; ++i) {
      const double* line = x.data() + o * a.n * a.inner + i;
      int64_t best = 0;
      for (int64_t k = 1; k < a.n; ++k) {
        const double v = line[k * a.inner], b = line[best * a.inner];
        if (!std::isnan(b) && (std::isnan(v) || v > b)) best = k;
      }
      out.push_back(best);
    }
  fill(call.out[0], out);
}

void cumsum_ref(const KernelCall& call) {
  const auto& attrs = call.get<Cumsum::Attrs>();
  auto x = doubles(call.in[0]);
  const Around a(call.in[0].sizes(), attrs.dim);
  for (int64_t o = 0; o < a.outer; ++o)
    for (int64_t i = 0; i < a.inner; ++i) {
      double* line = x.data() + o * a.n * a.inner + i;
      double sum = 0;
      for (int64_t k = 0; k < a.n; ++k) {
        double& v = line[(attrs.reverse ? a.n - 1 - k : k) * a.inner];
        v = sum += v;
      }
    }
  fill(call.out[0], x);
}

TENON_REGISTER_KERNEL(Amax, {.name = "ref", .run = extreme_ref<true>});
TENON_REGISTER_KERNEL(Amin, {.name = "ref", .run = extreme_ref<false>});
TENON_REGISTER_KERNEL(Argmax, {.name = "ref", .run = argmax_ref});
TENON_REGISTER_KERNEL(Cumsum, {.name = "ref", .run = cumsum_ref});

}  // namespace

template <bool Max>
Metas Extreme<Max>::infer(const Attrs& a, Inputs in) {
  const Dims axes = normalise_axes(a.axes, in[0].rank(), traits.name);
  check_float(in[0], traits.name);
  const Dims sizes = reduced_shape(in[0].sizes(), axes, a.keepdim);
  check(in[0].numel() > 0 || count_elements(sizes) == 0, ErrorKind::Usage,
        "{}: {} has no elements along the axes {}", traits.name, in[0].describe(), to_string(axes));
  return {{sizes, in[0].dtype(), {}}};
}
template <bool Max>
TensorVec Extreme<Max>::backward(const Attrs& a, const BackwardArgs& g) {
  const Dims kept = reduced_shape(g.input_meta(0).sizes, a.axes, true);
  const Tensor x = g.input(0).detach();
  const Tensor at = cast(eq(x, reshape(g.output(0).detach(), kept)), x.dtype());
  const Tensor share = div(at, sum(at, a.axes, true));
  return {mul(share, reshape(g.grad(), kept))};
}
template <bool Max>
std::vector<Sample> Extreme<Max>::samples() {
  return {{"rows", {distinct({3, 7})}, make_attrs(Attrs{{1}, false})},
          {"outer", {distinct({3, 4, 2})}, make_attrs(Attrs{{0, 2}, true})},
          {"all", {distinct({3, 5})}, make_attrs(Attrs{{0, 1}, false})},
          {"image", {distinct({2, 3, 4, 2})}, make_attrs(Attrs{{2, 3}, false})},
          {"scalar", {distinct({})}, make_attrs(Attrs{{}, false})},
          {"no result", {distinct({0, 3})}, make_attrs(Attrs{{1}, false})},
          {"nothing", {distinct({0, 3})}, make_attrs(Attrs{{0}, false}), 0, true},
          {"outside", {distinct({3, 2})}, make_attrs(Attrs{{2}, false}), 0, true}};
}

Metas Argmax::infer(const Attrs& a, Inputs in) {
  check_dim(a.dim, in[0], traits.name);
  check(in[0].size(a.dim) > 0, ErrorKind::Usage, "argmax: {} has no elements along dim {}",
        in[0].describe(), a.dim);
  return {{reduced_shape(in[0].sizes(), {a.dim}, false), DType::i64, {}}};
}
std::vector<Sample> Argmax::samples() {
  return {{"rows", {distinct({4, 9})}, make_attrs(Attrs{1})},
          {"middle", {distinct({2, 5, 3})}, make_attrs(Attrs{1})},
          {"ties", {ints({6, 5}, 0, 2)}, make_attrs(Attrs{1})},
          {"nothing", {floats({3, 0})}, make_attrs(Attrs{1}), 0, true},
          {"outside", {floats({3, 2})}, make_attrs(Attrs{2}), 0, true}};
}

Metas Cumsum::infer(const Attrs& a, Inputs in) {
  check_dim(a.dim, in[0], traits.name);
  check_float(in[0], traits.name);
  return {{in[0].sizes(), in[0].dtype(), {}}};
}
TensorVec Cumsum::backward(const Attrs& a, const BackwardArgs& g) {
  return {apply<Cumsum>({a.dim, !a.reverse}, {g.grad()})[0]};
}
std::vector<Sample> Cumsum::samples() {
  return {{"rows", {floats({3, 7})}, make_attrs(Attrs{1, false})},
          {"middle", {floats({2, 5, 3})}, make_attrs(Attrs{1, true})},
          {"empty", {floats({0, 3})}, make_attrs(Attrs{0, false})},
          {"outside", {floats({3})}, make_attrs(Attrs{1, false}), 0, true}};
}

Tensor amax(const Tensor& x, Dims axes, bool keepdim) {
  return apply<Amax>({normalise_axes(std::move(axes), x.rank(), "amax"), keepdim}, {x})[0];
}
Tensor amax(const Tensor& x) {
  return amax(x, all_axes(x));
}
Tensor amin(const Tensor& x, Dims axes, bool keepdim) {
  return apply<Amin>({normalise_axes(std::move(axes), x.rank(), "amin"), keepdim}, {x})[0];
}
Tensor amin(const Tensor& x) {
  return amin(x, all_axes(x));
}
Tensor argmax(const Tensor& x, int64_t dim) {
  return apply<Argmax>({wrap_dim(dim, x.rank(), "argmax")}, {x.detach()})[0];
}
Tensor cumsum(const Tensor& x, int64_t dim, bool reverse) {
  return apply<Cumsum>({wrap_dim(dim, x.rank(), "cumsum"), reverse}, {x})[0];
}
Tensor var(const Tensor& x, Dims axes, bool keepdim, int64_t correction) {
  axes = normalise_axes(std::move(axes), x.rank(), "var");
  int64_t n = 1;
  for (const int64_t d : axes) n *= x.size(d);
  check(n > correction, ErrorKind::Usage, "var: {} values with correction {}", n, correction);
  const Tensor spread = square(sub(x, mean(x, axes, true)));
  return affine(sum(spread, axes, keepdim), 1.0 / static_cast<double>(n - correction), 0);
}
Tensor norm2(const Tensor& x, Dims axes, bool keepdim) {
  return sqrt(sum(square(x), std::move(axes), keepdim));
}
Tensor norm2(const Tensor& x) {
  return sqrt(sum(square(x)));
}

}  // namespace tenon
