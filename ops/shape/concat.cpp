#include "ops/shape/concat.h"

#include "ops/index/index.h"
#include "ops/pointwise/cast.h"
#include "ops/registry/plain.h"
#include "ops/shape/views.h"

namespace tenon {

TENON_REGISTER_OP(Concat);
TENON_REGISTER_OP(Pad);

namespace {

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

void concat_run(const KernelCall& call) {
  const int64_t dim = call.get<Concat::Attrs>().dim;
  int64_t start = 0;
  for (const Tensor& x : call.in) {
    copy_values(x, call.out[0].narrow_view(dim, start, x.size(dim)));
    start += x.size(dim);
  }
}
TENON_REGISTER_KERNEL(Concat, {.name = "ref", .run = concat_run});
TENON_REGISTER_KERNEL(
    Concat, {.name = "copy", .device = DeviceKind::CUDA, .rank = kRankCuda, .run = concat_run});

void pad_run(const KernelCall& call) {
  const auto& a = call.get<Pad::Attrs>();
  Tensor x = call.in[0], inside = call.out[0];
  bool all = true;
  for (int64_t d = 0; d < x.rank(); ++d) {
    const int64_t before = a.before[at(d)], after = a.after[at(d)];
    const int64_t length = x.size(d) + std::min<int64_t>(before, 0) + std::min<int64_t>(after, 0);
    x = x.narrow_view(d, std::max<int64_t>(-before, 0), std::max<int64_t>(length, 0));
    inside = inside.narrow_view(d, std::max<int64_t>(before, 0), std::max<int64_t>(length, 0));
    all &= before <= 0 && after <= 0;
  }
  if (!all) {
    if (a.value == 0)
      call.out[0].zero();
    else
      call.out[0].copy_from(Expand::view(
          {call.out[0].sizes()}, Tensor::scalar(a.value, x.dtype()).to(call.out[0].device())));
  }
  copy_values(x, inside);
}
TENON_REGISTER_KERNEL(Pad, {.name = "ref", .run = pad_run});
TENON_REGISTER_KERNEL(
    Pad, {.name = "copy", .device = DeviceKind::CUDA, .rank = kRankCuda, .run = pad_run});

}  // namespace

Metas Concat::infer(const Attrs& a, Inputs in) {
  check_dim(a.dim, in[0], traits.name);
  Dims sizes = in[0].sizes();
  for (size_t i = 1; i < in.size(); ++i) {
    bool ok = in[i].rank() == in[0].rank() && in[i].dtype() == in[0].dtype();
    for (int64_t d = 0; d < in[0].rank() && ok; ++d)
      ok = d == a.dim || in[i].size(d) == in[0].size(d);
    check(ok, ErrorKind::Usage, "concat: input {} {} does not fit {} along dim {}", i,
          in[i].describe(), in[0].describe(), a.dim);
    sizes[at(a.dim)] += in[i].size(a.dim);
  }
  return {image_like(in[0], sizes, in[0].dtype())};
}
TensorVec Concat::backward(const Attrs& a, const BackwardArgs& g) {
  TensorVec out(g.input_count());
  int64_t start = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    const int64_t n = g.input_meta(i).sizes[at(a.dim)];
    if (g.needs(i)) out[i] = narrow(g.grad(), a.dim, start, n);
    start += n;
  }
  return out;
}
std::vector<Sample> Concat::samples() {
  return {{"rows", {floats({2, 3}), floats({4, 3})}, make_attrs(Attrs{0})},
          {"columns", {floats({3, 2}), floats({3, 1}), floats({3, 5})}, make_attrs(Attrs{1})},
          {"image", {floats({2, 3, 2, 4}), floats({2, 5, 2, 4})}, make_attrs(Attrs{1})},
          {"alone", {floats({4})}, make_attrs(Attrs{0})},
          {"empty part", {floats({2, 0}), floats({2, 3})}, make_attrs(Attrs{1})},
          {"integers", {ints({2, 3}, 0, 9), ints({2, 2}, 0, 9)}, make_attrs(Attrs{1})},
          {"sizes differ", {floats({2, 3}), floats({3, 3})}, make_attrs(Attrs{1}), 0, true},
          {"outside", {floats({2})}, make_attrs(Attrs{1}), 0, true}};
}

Metas Pad::infer(const Attrs& a, Inputs in) {
  const Tensor& x = in[0];
  check(a.before.size() == x.sizes().size() && a.after.size() == x.sizes().size(), ErrorKind::Usage,
        "pad: {} and {} for {}", to_string(a.before), to_string(a.after), x.describe());
  Dims sizes = x.sizes();
  for (size_t d = 0; d < sizes.size(); ++d) {
    const bool cuts_all =
        std::min<int64_t>(a.before[d], 0) + std::min<int64_t>(a.after[d], 0) < -sizes[d];
    sizes[d] += a.before[d] + a.after[d];
    check(!cuts_all && sizes[d] >= 0, ErrorKind::Usage, "pad: {} before and {} after dim {} of {}",
          a.before[d], a.after[d], d, x.describe());
  }
  return {image_like(x, sizes, x.dtype())};
}
TensorVec Pad::backward(const Attrs& a, const BackwardArgs& g) {
  Attrs back = a;
  for (int64_t& n : back.before) n = -n;
  for (int64_t& n : back.after) n = -n;
  back.value = 0;
  return {apply<Pad>(back, {g.grad()})[0]};
}
std::vector<Sample> Pad::samples() {
  return {{"image", {floats({2, 3, 2, 3})}, make_attrs(Attrs{{0, 0, 1, 1}, {0, 0, 2, 0}, 0.5})},
          {"crop", {floats({5, 4})}, make_attrs(Attrs{{-1, 2}, {-2, -1}, 0})},
          {"scalar", {floats({})}, make_attrs(Attrs{{}, {}, 1})},
          {"empty", {floats({0, 2})}, make_attrs(Attrs{{1, 0}, {1, 0}, 2})},
          {"too much cut", {floats({3})}, make_attrs(Attrs{{-4}, {2}, 0}), 0, true},
          {"rank", {floats({3})}, make_attrs(Attrs{{1, 1}, {1, 1}, 0}), 0, true}};
}

Tensor concat(Inputs list, int64_t dim) {
  check(!list.empty() && list[0].defined(), ErrorKind::Usage, "concat: an empty list");
  return apply<Concat>({wrap_dim(dim, list[0].rank(), "concat")}, list)[0];
}
Tensor concat(std::initializer_list<Tensor> list, int64_t dim) {
  return concat(Inputs(list.begin(), list.size()), dim);
}
Tensor stack(Inputs list, int64_t dim) {
  TensorVec parts;
  for (const Tensor& x : list) parts.push_back(unsqueeze(x, dim));
  return concat(parts, dim);
}
TensorVec split(const Tensor& x, const Dims& sizes, int64_t dim) {
  dim = wrap_dim(dim, x.rank(), "split");
  TensorVec out;
  int64_t start = 0;
  for (const int64_t n : sizes) start += n;
  check(start == x.size(dim), ErrorKind::Usage, "split: {} does not add up to dim {} of {}",
        to_string(sizes), dim, x.describe());
  start = 0;
  for (const int64_t n : sizes) {
    out.push_back(narrow(x, dim, start, n));
    start += n;
  }
  return out;
}
TensorVec chunk(const Tensor& x, int64_t count, int64_t dim) {
  dim = wrap_dim(dim, x.rank(), "chunk");
  check(count > 0 && x.size(dim) % count == 0, ErrorKind::Usage,
        "chunk: dim {} of {} does not split into {} equal parts", dim, x.describe(), count);
  return split(x, Dims(at(count), x.size(dim) / count), dim);
}

namespace {
// Amounts of the last axes, with zeros for those before.
void widen(const Tensor& x, Dims& before, Dims& after, const char* op) {
  check(before.size() == after.size() && before.size() <= x.sizes().size(), ErrorKind::Usage,
        "{}: {} and {} for {}", op, to_string(before), to_string(after), x.describe());
  while (before.size() < x.sizes().size()) {
    before.insert(0, 0);
    after.insert(0, 0);
  }
}
}  // namespace

Tensor pad(const Tensor& x, Dims before, Dims after, double value) {
  widen(x, before, after, "pad");
  return apply<Pad>({std::move(before), std::move(after), value}, {x})[0];
}
Tensor pad_reflect(const Tensor& x, Dims before, Dims after) {
  widen(x, before, after, "pad_reflect");
  Tensor y = x;
  for (int64_t d = 0; d < x.rank(); ++d) {
    const int64_t n = x.size(d), b = before[at(d)], a = after[at(d)];
    if (b == 0 && a == 0) continue;
    check(b >= 0 && a >= 0 && b < n && a < n, ErrorKind::Usage,
          "pad_reflect: {} before and {} after dim {} of {}", b, a, d, x.describe());
    std::vector<int64_t> from;
    for (int64_t i = -b; i < n + a; ++i) from.push_back(i < 0 ? -i : i < n ? i : 2 * (n - 1) - i);
    y = index_select(y, d, Tensor::from(from, {n + a + b}, x.device()));
  }
  return y;
}

}  // namespace tenon
