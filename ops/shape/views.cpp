#include "ops/shape/views.h"

#include "ops/pointwise/binary.h"
#include "ops/pointwise/cast.h"

namespace tenon {

TENON_REGISTER_OP(Reshape);
TENON_REGISTER_OP(Permute);
TENON_REGISTER_OP(Slice);
TENON_REGISTER_OP(SliceScatter);
TENON_REGISTER_OP(Expand);

namespace {

size_t at(int64_t i) {
  return static_cast<size_t>(i);
}

// Strides with which x's memory is seen as `sizes`, or nothing when it cannot be.
bool reshape_strides(const Tensor& x, const Dims& sizes, Dims* out) {
  *out = contiguous_strides(sizes);
  if (x.is_contiguous() || x.numel() == 0) return true;
  // Match runs of old axes that are one stretch of memory with runs of new axes.
  Dims old_sizes, old_strides;
  for (size_t d = 0; d < x.sizes().size(); ++d)
    if (x.sizes()[d] != 1) {
      old_sizes.push_back(x.sizes()[d]);
      old_strides.push_back(x.strides()[d]);
    }
  size_t o = 0, n = 0;
  while (n < sizes.size()) {
    if (sizes[n] == 1) {
      (*out)[n++] = 1;
      continue;
    }
    if (o == old_sizes.size()) return false;
    size_t o_end = o + 1, n_end = n + 1;
    int64_t o_count = old_sizes[o], n_count = sizes[n];
    while (o_count != n_count) {
      if (o_count < n_count) {
        if (o_end == old_sizes.size()) return false;
        if (old_strides[o_end - 1] != old_strides[o_end] * old_sizes[o_end]) return false;
        o_count *= old_sizes[o_end++];
      } else {
        n_count *= sizes[n_end++];
      }
    }
    int64_t step = old_strides[o_end - 1];
    for (size_t d = n_end; d-- > n;) {
      (*out)[d] = step;
      step *= sizes[d];
    }
    o = o_end;
    n = n_end;
  }
  return true;
}

Dims resolve(const Tensor& x, Dims sizes) {
  int64_t known = 1;
  int64_t hole = -1;
  for (size_t d = 0; d < sizes.size(); ++d) {
    if (sizes[d] == -1) {
      check(hole < 0, ErrorKind::Usage, "reshape: {} has two unknown sizes", to_string(sizes));
      hole = static_cast<int64_t>(d);
    } else {
      known *= sizes[d];
    }
  }
  if (hole >= 0) {
    check(known > 0 && x.numel() % known == 0, ErrorKind::Usage, "reshape: {} does not fit into {}",
          x.describe(), to_string(sizes));
    sizes[at(hole)] = x.numel() / known;
  }
  return sizes;
}

}  // namespace

Metas Reshape::infer(const Attrs& a, Inputs in) {
  check(count_elements(a.sizes) == in[0].numel(), ErrorKind::Usage,
        "reshape: {} does not have the elements of {}", in[0].describe(), to_string(a.sizes));
  return {{a.sizes, in[0].dtype(), {}}};
}
Tensor Reshape::view(const Attrs& a, const Tensor& x) {
  Dims strides;
  if (!reshape_strides(x, a.sizes, &strides)) {
    Tensor copy = Tensor::empty(x.sizes(), x.dtype(), x.device());
    copy_values(x, copy);
    return Tensor::view_of(copy.storage(), a.sizes, contiguous_strides(a.sizes), 0, x.dtype());
  }
  return Tensor::view_of(x.storage(), a.sizes, strides, x.offset(), x.dtype());
}
TensorVec Reshape::backward(const Attrs&, const BackwardArgs& g) {
  return {reshape(g.grad(), g.input_meta(0).sizes)};
}
std::vector<Sample> Reshape::samples() {
  return {{"merge", {floats({2, 3, 4})}, make_attrs(Attrs{{6, 4}})},
          {"split", {floats({6, 4})}, make_attrs(Attrs{{2, 3, 2, 2}})},
          {"scalar", {floats({1})}, make_attrs(Attrs{{}})},
          {"empty", {floats({0, 3})}, make_attrs(Attrs{{3, 0}})},
          {"wrong count", {floats({5})}, make_attrs(Attrs{{6}}), 0, true}};
}
Tensor reshape(const Tensor& x, Dims sizes) {
  return apply<Reshape>({resolve(x, std::move(sizes))}, {x})[0];
}
Tensor flatten(const Tensor& x, int64_t first, int64_t last) {
  first = wrap_dim(first, x.rank(), "flatten");
  last = wrap_dim(last, x.rank(), "flatten");
  check(first <= last, ErrorKind::Usage, "flatten: first axis {} is after last {}", first, last);
  Dims sizes;
  for (int64_t d = 0; d < x.rank(); ++d) {
    if (d > first && d <= last)
      sizes.back() *= x.size(d);
    else
      sizes.push_back(x.size(d));
  }
  return reshape(x, sizes);
}

Metas Permute::infer(const Attrs& a, Inputs in) {
  const Tensor& x = in[0];
  Dims sizes(x.sizes().size()), seen(x.sizes().size());
  bool ok = a.order.size() == x.sizes().size();
  for (size_t d = 0; d < a.order.size() && ok; ++d) {
    ok = a.order[d] >= 0 && a.order[d] < x.rank() && !seen[at(a.order[d])]++;
    if (ok) sizes[d] = x.size(a.order[d]);
  }
  check(ok, ErrorKind::Usage, "permute: order {} does not fit {}", to_string(a.order),
        x.describe());
  return {{sizes, x.dtype(), {}}};
}
Tensor Permute::view(const Attrs& a, const Tensor& x) {
  Dims sizes, strides;
  for (const int64_t d : a.order) {
    sizes.push_back(x.size(d));
    strides.push_back(x.stride(d));
  }
  return Tensor::view_of(x.storage(), sizes, strides, x.offset(), x.dtype());
}
TensorVec Permute::backward(const Attrs& a, const BackwardArgs& g) {
  Dims inverse(a.order.size());
  for (size_t d = 0; d < a.order.size(); ++d) inverse[at(a.order[d])] = static_cast<int64_t>(d);
  return {permute(g.grad(), inverse)};
}
std::vector<Sample> Permute::samples() {
  return {{"reverse", {floats({2, 3, 4})}, make_attrs(Attrs{{2, 1, 0}})},
          {"empty", {floats({2, 0, 4})}, make_attrs(Attrs{{1, 0, 2}})},
          {"scalar", {floats({})}, make_attrs(Attrs{{}})},
          {"twice", {floats({2, 3})}, make_attrs(Attrs{{1, 1}}), 0, true},
          {"short", {floats({2, 3})}, make_attrs(Attrs{{0}}), 0, true}};
}
Tensor permute(const Tensor& x, Dims order) {
  for (int64_t& d : order) d = wrap_dim(d, x.rank(), "permute");
  return apply<Permute>({std::move(order)}, {x})[0];
}
Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1) {
  Dims order;
  for (int64_t d = 0; d < x.rank(); ++d) order.push_back(d);
  std::swap(order[at(wrap_dim(dim0, x.rank(), "transpose"))],
            order[at(wrap_dim(dim1, x.rank(), "transpose"))]);
  return permute(x, order);
}

Metas Slice::infer(const Attrs& a, Inputs in) {
  const Tensor& x = in[0];
  check(a.dim >= 0 && a.dim < x.rank() && a.step >= 1 && a.start >= 0 && a.start <= a.stop &&
            a.stop <= x.size(a.dim),
        ErrorKind::Usage, "slice: [{}:{}:{}] along dim {} of {}", a.start, a.stop, a.step, a.dim,
        x.describe());
  Dims sizes = x.sizes();
  sizes[at(a.dim)] = (a.stop - a.start + a.step - 1) / a.step;
  return {{sizes, x.dtype(), {}}};
}
Tensor Slice::view(const Attrs& a, const Tensor& x) {
  Dims sizes = infer(a, Inputs(&x, 1))[0].sizes, strides = x.strides();
  strides[at(a.dim)] *= a.step;
  return Tensor::view_of(x.storage(), sizes, strides, x.offset() + a.start * x.stride(a.dim),
                         x.dtype());
}
TensorVec Slice::backward(const Attrs& a, const BackwardArgs& g) {
  return {apply<SliceScatter>({a.dim, a.start, a.step, g.input_meta(0).sizes[at(a.dim)]},
                              {g.grad()})[0]};
}
std::vector<Sample> Slice::samples() {
  return {{"middle", {floats({3, 5})}, make_attrs(Attrs{1, 1, 4, 1})},
          {"step", {floats({7, 2})}, make_attrs(Attrs{0, 1, 7, 3})},
          {"nothing", {floats({3})}, make_attrs(Attrs{0, 2, 2, 1})},
          {"outside", {floats({3})}, make_attrs(Attrs{0, 1, 4, 1}), 0, true},
          {"no axis", {floats({3})}, make_attrs(Attrs{1, 0, 1, 1}), 0, true}};
}
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t stop, int64_t step) {
  dim = wrap_dim(dim, x.rank(), "slice");
  if (start < 0) start += x.size(dim);
  if (stop < 0) stop += x.size(dim);
  return apply<Slice>({dim, start, stop, step}, {x})[0];
}
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length) {
  return slice(x, dim, start, start + length);
}
Tensor select(const Tensor& x, int64_t dim, int64_t index) {
  dim = wrap_dim(dim, x.rank(), "select");
  if (index < 0) index += x.size(dim);
  return squeeze(slice(x, dim, index, index + 1), dim);
}

Metas SliceScatter::infer(const Attrs& a, Inputs in) {
  const Tensor& x = in[0];
  check(a.dim >= 0 && a.dim < x.rank() && a.step >= 1 && a.start >= 0 &&
            (x.size(a.dim) == 0 || a.start + (x.size(a.dim) - 1) * a.step < a.size),
        ErrorKind::Usage, "slice_scatter: {} at {} step {} into size {} along dim {}", x.describe(),
        a.start, a.step, a.size, a.dim);
  Dims sizes = x.sizes();
  sizes[at(a.dim)] = a.size;
  return {image_like(x, sizes, x.dtype())};
}
TensorVec SliceScatter::backward(const Attrs& a, const BackwardArgs& g) {
  const int64_t n = g.input_meta(0).sizes[at(a.dim)];
  return {slice(g.grad(), a.dim, a.start, n ? a.start + (n - 1) * a.step + 1 : a.start, a.step)};
}
std::vector<Sample> SliceScatter::samples() {
  return {{"middle", {floats({3, 2})}, make_attrs(Attrs{1, 1, 1, 5})},
          {"step", {floats({2, 3, 2})}, make_attrs(Attrs{1, 1, 2, 7})},
          {"nothing", {floats({0, 2})}, make_attrs(Attrs{0, 1, 1, 3})},
          {"too small", {floats({3})}, make_attrs(Attrs{0, 0, 2, 4}), 0, true}};
}
namespace {
void slice_scatter_run(const KernelCall& call) {
  const auto& a = call.get<SliceScatter::Attrs>();
  const Tensor& x = call.in[0];
  call.out[0].zero();
  if (x.numel() == 0) return;
  copy_values(x, Slice::view({a.dim, a.start, a.start + (x.size(a.dim) - 1) * a.step + 1, a.step},
                             call.out[0]));
}
TENON_REGISTER_KERNEL(SliceScatter, {.name = "ref", .rank = kRankRef, .run = slice_scatter_run});
TENON_REGISTER_KERNEL(SliceScatter, {.name = "copy",
                                     .device = DeviceKind::CUDA,
                                     .rank = kRankCuda,
                                     .run = slice_scatter_run});
}  // namespace

Metas Expand::infer(const Attrs& a, Inputs in) {
  const Tensor& x = in[0];
  bool ok = a.sizes.size() >= x.sizes().size();
  const size_t pad = ok ? a.sizes.size() - x.sizes().size() : 0;
  for (size_t d = 0; d < x.sizes().size() && ok; ++d)
    ok = x.sizes()[d] == a.sizes[pad + d] || x.sizes()[d] == 1;
  check(ok, ErrorKind::Usage, "expand: {} to {}", x.describe(), to_string(a.sizes));
  return {{a.sizes, x.dtype(), {}}};
}
Tensor Expand::view(const Attrs& a, const Tensor& x) {
  Dims strides(a.sizes.size());
  const size_t pad = a.sizes.size() - x.sizes().size();
  for (size_t d = 0; d < x.sizes().size(); ++d)
    strides[pad + d] = x.sizes()[d] == a.sizes[pad + d] ? x.strides()[d] : 0;
  return Tensor::view_of(x.storage(), a.sizes, strides, x.offset(), x.dtype());
}
TensorVec Expand::backward(const Attrs&, const BackwardArgs& g) {
  return {sum_to(g.grad(), g.input_meta(0).sizes)};
}
std::vector<Sample> Expand::samples() {
  return {{"rows", {floats({1, 3})}, make_attrs(Attrs{{4, 3}})},
          {"in front", {floats({3, 1})}, make_attrs(Attrs{{2, 3, 5}})},
          {"scalar", {floats({})}, make_attrs(Attrs{{2, 2}})},
          {"empty", {floats({1, 2})}, make_attrs(Attrs{{0, 2}})},
          {"mismatch", {floats({2})}, make_attrs(Attrs{{3}}), 0, true}};
}
Tensor expand(const Tensor& x, Dims sizes) {
  return apply<Expand>({std::move(sizes)}, {x})[0];
}

Tensor unsqueeze(const Tensor& x, int64_t dim) {
  dim = wrap_dim(dim, x.rank() + 1, "unsqueeze");
  Dims sizes = x.sizes();
  sizes.insert(at(dim), 1);
  return reshape(x, sizes);
}
Tensor squeeze(const Tensor& x, int64_t dim) {
  dim = wrap_dim(dim, x.rank(), "squeeze");
  check(x.size(dim) == 1, ErrorKind::Usage, "squeeze: dim {} of {} is not 1", dim, x.describe());
  Dims sizes = x.sizes();
  sizes.erase(at(dim));
  return reshape(x, sizes);
}

}  // namespace tenon
