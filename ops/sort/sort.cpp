#include "ops/sort/sort.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/simd/parallel.h"
#include "ops/index/index.h"
#include "ops/ops.h"
#include "ops/registry/plain.h"

namespace tenon {

TENON_REGISTER_OP(Sort);
TENON_REGISTER_OP(NonfiniteCount);

namespace {

void sort_ref(const KernelCall& call) {
  const auto& attrs = call.get<Sort::Attrs>();
  const auto x = doubles(call.in[0]);
  const Around a(call.in[0].sizes(), attrs.dim);
  std::vector<double> values(x.size());
  std::vector<int64_t> indices(x.size());
  const auto less = [](double u, double v) { return u < v || (std::isnan(v) && !std::isnan(u)); };
  const int64_t lines = a.outer * a.inner;
  parallel_for(lines, std::max<int64_t>(1, 1024 / std::max<int64_t>(a.n, 1)),
               [&](int64_t begin, int64_t end) {
                 std::vector<int64_t> order(static_cast<size_t>(a.n));
                 for (int64_t l = begin; l < end; ++l) {
                   const int64_t at = l / a.inner * a.n * a.inner + l % a.inner;
                   const double* line = x.data() + at;
                   std::iota(order.begin(), order.end(), int64_t{0});
                   std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) {
                     const double u = line[i * a.inner], v = line[j * a.inner];
                     return attrs.descending ? less(v, u) : less(u, v);
                   });
                   for (int64_t k = 0; k < a.n; ++k) {
                     const auto to = static_cast<size_t>(at + k * a.inner);
                     indices[to] = order[static_cast<size_t>(k)];
                     values[to] = line[indices[to] * a.inner];
                   }
                 }
               });
  fill(call.out[0], values);
  fill(call.out[1], indices);
}

void nonfinite_count_ref(const KernelCall& call) {
  int64_t count = 0;
  for (const double v : doubles(call.in[0])) count += !std::isfinite(v);
  fill(call.out[0], std::vector<int64_t>{count});
}

TENON_REGISTER_KERNEL(Sort, {.name = "ref", .run = sort_ref});
TENON_REGISTER_KERNEL(NonfiniteCount, {.name = "ref", .run = nonfinite_count_ref});

InputSpec distinct(Dims shape) {
  InputSpec s = floats(std::move(shape));
  s.apart = 0.05;
  return s;
}

}  // namespace

Metas Sort::infer(const Attrs& a, Inputs in) {
  check_dim(a.dim, in[0], traits.name);
  return {{in[0].sizes(), in[0].dtype(), {}}, {in[0].sizes(), DType::i64, {}}};
}
TensorVec Sort::backward(const Attrs& a, const BackwardArgs& g) {
  const Tensor zeros =
      Tensor::zeros(g.input_meta(0).sizes, g.input_meta(0).dtype, g.grad().device());
  return {scatter_add(zeros, a.dim, g.output(1), g.grad())};
}
std::vector<Sample> Sort::samples() {
  return {{"rows", {distinct({3, 9})}, make_attrs(Attrs{1})},
          {"middle down", {distinct({2, 5, 3})}, make_attrs(Attrs{1, true})},
          {"ties", {ints({4, 8}, 0, 3)}, make_attrs(Attrs{1, true})},
          {"empty", {floats({0, 3})}, make_attrs(Attrs{1})},
          {"outside", {floats({3})}, make_attrs(Attrs{1}), 0, true}};
}

Metas NonfiniteCount::infer(const Attrs&, Inputs in) {
  check_float(in[0], traits.name);
  return {{{}, DType::i64, {}}};
}
std::vector<Sample> NonfiniteCount::samples() {
  InputSpec broken = floats({5, 37});
  broken.finish = [](std::vector<double>& v) {
    v[3] = INFINITY;
    v[99] = -INFINITY;
    v.back() = NAN;
  };
  return {{"broken", {broken}, make_attrs(Attrs{})},
          {"fine", {floats({70001})}, make_attrs(Attrs{})},
          {"scalar", {floats({})}, make_attrs(Attrs{})},
          {"empty", {floats({0})}, make_attrs(Attrs{})},
          {"integers", {ints({3}, 0, 9)}, make_attrs(Attrs{}), 0, true}};
}

Sorted sort(const Tensor& x, int64_t dim, bool descending) {
  const TensorVec out = apply<Sort>({wrap_dim(dim, x.rank(), "sort"), descending}, {x});
  return {out[0], out[1]};
}
Sorted topk(const Tensor& x, int64_t k, int64_t dim) {
  dim = wrap_dim(dim, x.rank(), "topk");
  check(k >= 0 && k <= x.size(dim), ErrorKind::Usage, "topk: k {} along dim {} of {}", k, dim,
        x.describe());
  const Sorted s = sort(x, dim, true);
  return {narrow(s.values, dim, 0, k), narrow(s.indices, dim, 0, k)};
}
Tensor quantile(const Tensor& x, double q, int64_t dim) {
  dim = wrap_dim(dim, x.rank(), "quantile");
  check(q >= 0 && q <= 1 && x.size(dim) > 0, ErrorKind::Usage, "quantile: q {} along dim {} of {}",
        q, dim, x.describe());
  const Tensor values = sort(x, dim).values;
  const double position = q * static_cast<double>(x.size(dim) - 1);
  const auto below = static_cast<int64_t>(position);
  const int64_t above = std::min(below + 1, x.size(dim) - 1);
  const double part = position - static_cast<double>(below);
  const Tensor low = select(values, dim, below);
  if (part == 0) return low;
  return add(affine(low, 1 - part, 0), affine(select(values, dim, above), part, 0));
}
Tensor nonfinite_count(const Tensor& x) {
  return apply<NonfiniteCount>({}, {x.detach()})[0];
}
bool all_finite(const Tensor& x) {
  return nonfinite_count(x).item() == 0;
}

}  // namespace tenon
