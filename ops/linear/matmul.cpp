#include "ops/linear/matmul.h"

#include <algorithm>

#include "ops/ops.h"
#include "ops/pointwise/binary.h"

namespace tenon {

TENON_REGISTER_OP(Matmul);
TENON_REGISTER_OP(Linear);

namespace {

// Product of the axes before the last two.
int64_t matrices(const Dims& sizes) {
  int64_t n = 1;
  for (size_t d = 0; d + 2 < sizes.size(); ++d) n *= sizes[d];
  return n;
}

// The leading axes folded into the rows. (Not with -1: that is undetermined for empty tensors.)
Tensor as_rows(const Tensor& x) {
  int64_t rows = 1;
  for (size_t d = 0; d + 1 < x.sizes().size(); ++d) rows *= x.sizes()[d];
  return reshape(x, {rows, x.size(-1)});
}

bool is_transposed(const Tensor& t) {
  if (t.rank() < 2 || t.is_contiguous()) return false;
  Dims sizes = t.sizes(), strides = t.strides();
  std::swap(sizes[sizes.size() - 1], sizes[sizes.size() - 2]);
  std::swap(strides[strides.size() - 1], strides[strides.size() - 2]);
  return strides == contiguous_strides(sizes);
}

}  // namespace

std::pair<int64_t, int64_t> MatmulBatch::at(int64_t index) const {
  int64_t a = 0, b = 0;
  for (size_t d = sizes.size(); d-- > 0;) {
    const int64_t i = index % sizes[d];
    index /= sizes[d];
    a += i * step_a[d];
    b += i * step_b[d];
  }
  return {a, b};
}

MatmulBatch matmul_batch(const Tensor& a, const Tensor& b) {
  MatmulBatch out;
  const size_t rank = std::max(a.sizes().size(), b.sizes().size()) - 2;
  out.sizes.resize(rank);
  out.step_a.resize(rank);
  out.step_b.resize(rank);
  int64_t count_a = 1, count_b = 1;
  for (size_t d = rank; d-- > 0;) {
    const auto size = [&](const Tensor& t) {
      const size_t have = t.sizes().size() - 2, missing = rank - have;
      return d < missing ? int64_t{1} : t.sizes()[d - missing];
    };
    const int64_t na = size(a), nb = size(b);
    check(na == nb || na == 1 || nb == 1, ErrorKind::Usage,
          "matmul: leading axes do not broadcast: a is {}, b is {}", a.describe(), b.describe());
    out.sizes[d] = na == 1 ? nb : na;
    out.step_a[d] = na == 1 ? 0 : count_a;
    out.step_b[d] = nb == 1 ? 0 : count_b;
    count_a *= na;
    count_b *= nb;
    out.count *= out.sizes[d];
  }
  return out;
}

Metas Matmul::infer(const Attrs& attrs, Inputs in) {
  const Tensor &a = in[0], &b = in[1];
  check(a.rank() >= 2 && b.rank() >= 2, ErrorKind::Usage,
        "matmul: a is {}, b is {}, want rank 2 or more", a.describe(), b.describe());
  check(is_float(a.dtype()) && is_float(b.dtype()), ErrorKind::Usage,
        "matmul: a is {}, b is {}, want floating types", a.describe(), b.describe());
  const int64_t k = a.size(attrs.trans_a ? -2 : -1), k_b = b.size(attrs.trans_b ? -1 : -2);
  check(k == k_b, ErrorKind::Usage, "matmul: inner sizes differ: {} of a {}{}, {} of b {}{}", k,
        a.describe(), attrs.trans_a ? " transposed" : "", k_b, b.describe(),
        attrs.trans_b ? " transposed" : "");
  Dims sizes = matmul_batch(a, b).sizes;
  sizes.push_back(a.size(attrs.trans_a ? -1 : -2));
  sizes.push_back(b.size(attrs.trans_b ? -2 : -1));
  return {{sizes, a.dtype(), {}}};
}

TensorVec Matmul::backward(const Attrs& attrs, const BackwardArgs& args) {
  const Tensor& g = args.grad();
  const Tensor &a = args.input(0), &b = args.input(1);
  Tensor da, db;
  if (args.needs(0)) {
    const Tensor full =
        attrs.trans_a ? matmul(b, g, attrs.trans_b, true) : matmul(g, b, false, !attrs.trans_b);
    da = sum_to(full, a.sizes());
  }
  if (args.needs(1)) {
    Tensor full;
    if (matrices(b.sizes()) == 1 && !attrs.trans_a && matrices(g.sizes()) > 1 &&
        a.rank() == g.rank() && matrices(a.sizes()) == matrices(g.sizes()))
      // One matrix b for all: a single long product instead of many that are then summed.
      full = attrs.trans_b ? matmul(as_rows(g), as_rows(a), true, false)
                           : matmul(as_rows(a), as_rows(g), true, false);
    else
      full =
          attrs.trans_b ? matmul(g, a, true, attrs.trans_a) : matmul(a, g, !attrs.trans_a, false);
    db = full.rank() < b.rank() ? reshape(full, b.sizes()) : sum_to(full, b.sizes());
  }
  return {da, db};
}

std::vector<Sample> Matmul::samples() {
  const auto plain = make_attrs(Attrs{}), ta = make_attrs(Attrs{true, false}),
             tb = make_attrs(Attrs{false, true}), both = make_attrs(Attrs{true, true});
  return {{"plain", {floats({5, 7}), floats({7, 3})}, plain},
          {"left", {floats({7, 5}), floats({7, 3})}, ta},
          {"right", {floats({5, 7}), floats({3, 7})}, tb},
          {"both", {floats({7, 5}), floats({3, 7})}, both},
          {"batch", {floats({3, 4, 5}), floats({3, 5, 2})}, plain},
          {"one_b", {floats({2, 3, 4, 5}), floats({5, 2})}, plain},
          {"one_b_right", {floats({3, 4, 5}), floats({2, 5})}, tb},
          {"one_b_left", {floats({3, 5, 4}), floats({5, 2})}, ta},
          {"broadcast", {floats({2, 1, 4, 3}), floats({3, 3, 2})}, plain},
          {"broadcast_both", {floats({1, 3, 4, 2}), floats({2, 1, 3, 4})}, both},
          {"tiles", {floats({99, 33}), floats({33, 40})}, plain},
          {"no_rows", {floats({0, 4}), floats({4, 3})}, plain},
          {"no_depth", {floats({2, 0}), floats({0, 3})}, plain},
          {"no_batch", {floats({0, 2, 4}), floats({0, 4, 3})}, plain},
          {"inner", {floats({5, 7}), floats({6, 3})}, plain, 0, true},
          {"vector", {floats({7}), floats({7, 3})}, plain, 0, true},
          {"leading", {floats({2, 4, 5}), floats({3, 5, 2})}, plain, 0, true},
          {"integers", {ints({4, 5}, 0, 3), ints({5, 2}, 0, 3)}, plain, 0, true}};
}

Tensor matmul(const Tensor& a, const Tensor& b, bool trans_a, bool trans_b) {
  return apply<Matmul>({trans_a, trans_b}, {a, b})[0];
}

Tensor matmul(const Tensor& a, const Tensor& b) {
  const bool ta = is_transposed(a), tb = is_transposed(b);
  return matmul(ta ? transpose(a, -1, -2) : a, tb ? transpose(b, -1, -2) : b, ta, tb);
}

Metas Linear::infer(const Attrs&, Inputs in) {
  const Tensor &x = in[0], &w = in[1], &bias = in[2];
  check(is_float(x.dtype()) && is_float(w.dtype()), ErrorKind::Usage,
        "linear: x is {}, w is {}, want floating types", x.describe(), w.describe());
  check(x.rank() >= 1 && w.rank() == 2 && x.size(-1) == w.size(1), ErrorKind::Usage,
        "linear: x is {}, w is {}, want x [..., in] and w [out, in]", x.describe(), w.describe());
  check(!bias.defined() || (bias.rank() == 1 && bias.size(0) == w.size(0)), ErrorKind::Usage,
        "linear: bias is {}, w is {}, want bias [out] and w [out, in]",
        bias.defined() ? bias.describe() : "", w.describe());
  Dims sizes = x.sizes();
  sizes.back() = w.size(0);
  return {{sizes, x.dtype(), {}}};
}

TensorVec Linear::backward(const Attrs&, const BackwardArgs& args) {
  const Tensor &x = args.input(0), &w = args.input(1);
  const Tensor g = as_rows(args.grad());
  Tensor dx, dw, db;
  if (args.needs(0)) dx = reshape(matmul(g, w, false, false), x.sizes());
  if (args.needs(1)) dw = matmul(g, as_rows(x), true, false);
  if (args.needs(2)) db = sum(g, {0});
  return {dx, dw, db};
}

std::vector<Sample> Linear::samples() {
  const auto a = make_attrs(Attrs{});
  return {{"rows", {floats({5, 7}), floats({3, 7}), floats({3})}, a},
          {"no_bias", {floats({5, 7}), floats({3, 7}), none()}, a},
          {"axes", {floats({2, 3, 7}), floats({4, 7}), floats({4})}, a},
          {"vector", {floats({7}), floats({4, 7}), floats({4})}, a},
          {"wide", {floats({9, 40}), floats({37, 40}), floats({37})}, a},
          {"empty", {floats({0, 7}), floats({4, 7}), floats({4})}, a},
          {"no_in", {floats({3, 0}), floats({4, 0}), floats({4})}, a},
          {"inner", {floats({5, 7}), floats({3, 6}), none()}, a, 0, true},
          {"bias", {floats({5, 7}), floats({3, 7}), floats({7})}, a, 0, true},
          {"rank", {floats({5, 7}), floats({3, 7, 1}), none()}, a, 0, true}};
}

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias, Activation activation) {
  const Tensor y = apply<Linear>({}, {x, w, bias})[0];
  switch (activation) {
    case Activation::Relu:
      return relu(y);
    case Activation::Silu:
      return silu(y);
    case Activation::Gelu:
      return gelu(y);
    case Activation::None:
      break;
  }
  return y;
}

}  // namespace tenon
