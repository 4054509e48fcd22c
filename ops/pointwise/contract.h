// From the small struct of a pointwise op to full op contracts. Included by the generated files of
// the baseline target only (each op has one contract, but kernels per target).
#pragma once

#include "ops/pointwise/binary.h"
#include "ops/pointwise/unary.h"
#include "ops/pointwise/walk.h"

namespace tenon {

template <class F, class V>
concept HasDerivativeX = requires(V v) {
  F::derivative_x(v);
}
|| requires(V v) {
  F::derivative_x(v, 0.0, 0.0);
};
template <class F, class V>
concept HasDerivativeY = requires(V v) {
  F::derivative_y(v);
}
|| requires(V v) {
  F::derivative_y(v, 0.0, 0.0);
};
template <class F>
concept HasGraph = requires(Tensor t) {
  F::derivative_graph(t, 0.0, 0.0);
};

template <class F>
constexpr double unary_low() {
  if constexpr (requires { F::low; }) return F::low;
  return -1.5;
}
template <class F>
constexpr double unary_high() {
  if constexpr (requires { F::high; }) return F::high;
  return 1.5;
}
template <class F>
constexpr double unary_apart() {
  if constexpr (requires { F::apart; }) return F::apart;
  return 0;
}

template <class F>
std::vector<Sample> unary_samples(int inputs) {
  ScalarArgs args;
  if constexpr (requires { F::sample_a; }) args.a = F::sample_a;
  if constexpr (requires { F::sample_b; }) args.b = F::sample_b;
  std::vector<Sample> out;
  const auto add = [&](const char* name, Dims shape) {
    Sample s;
    s.name = name;
    for (int i = 0; i < inputs; ++i) {
      s.inputs.push_back(floats(shape, unary_low<F>(), unary_high<F>()));
      s.inputs.back().apart = unary_apart<F>();
      s.inputs.back().differentiable = !requires {
        requires F::straight_through;
      };
    }
    s.attrs = make_attrs(args);
    out.push_back(std::move(s));
  };
  add("odd", {3, 37});
  add("one", {1});
  add("scalar", {});
  add("empty", {2, 0, 3});
  add("image", {2, 5, 3, 4});
  Sample integers{"integers", {}, make_attrs(args), 0, true};
  for (int i = 0; i < inputs; ++i) integers.inputs.push_back(ints({3}, 0, 5));
  out.push_back(std::move(integers));
  return out;
}

template <class F>
struct UnaryBackwardOp;

template <class F>
struct UnaryOp {
  using Attrs = ScalarArgs;
  static constexpr bool kFromX = HasDerivativeX<F, double>;
  static constexpr bool kFromY = HasDerivativeY<F, double>;
  static constexpr OpTraits make_traits() {
    OpTraits t{.name = F::kName};
    t.saved_inputs = kFromX ? 1 : 0;
    t.saved_outputs = kFromY ? 1 : 0;
    t.cost = Cost::Memory;
    t.layout = Layout::Any;
    t.differentiable = HasGraph<F> ? Differentiable::AnyOrder : Differentiable::FirstOrder;
    return t;
  }
  static constexpr OpTraits traits = make_traits();
  static Metas infer(const Attrs&, Inputs in) {
    visit_float(in[0].dtype(), F::kName, [](auto) {});
    return {dense_like(in[0], in[0].dtype())};
  }
  static TensorVec backward(const Attrs& a, const BackwardArgs& g) {
    const Tensor& saved = kFromX ? g.input(0) : g.output(0);
    if constexpr (HasGraph<F>) {
      if (grad_enabled()) {
        static const OpInfo& mul = detail::op_slot("mul");
        return {apply_binary(mul, g.grad(), F::derivative_graph(saved, a.a, a.b))};
      }
    }
    return {apply<UnaryBackwardOp<F>>(a, {g.grad(), saved})[0]};
  }
  static std::vector<Sample> samples() { return unary_samples<F>(1); }
};

// grad * f'(saved): the backward kernel of a unary op.
template <class F>
struct UnaryBackwardOp {
  using Attrs = ScalarArgs;
  static constexpr OpTraits make_traits() {
    OpTraits t{.name = F::kBackwardName};
    t.inputs = 2;
    t.cost = Cost::Memory;
    t.layout = Layout::Any;
    t.differentiable = Differentiable::None;
    return t;
  }
  static constexpr OpTraits traits = make_traits();
  static Metas infer(const Attrs&, Inputs in) {
    visit_float(in[0].dtype(), F::kBackwardName, [](auto) {});
    check(in[0].sizes() == in[1].sizes(), ErrorKind::Usage, "{}: gradient {} for {}",
          F::kBackwardName, in[0].describe(), in[1].describe());
    return {dense_like(in[1], in[1].dtype())};
  }
  static std::vector<Sample> samples() {
    std::vector<Sample> out = unary_samples<F>(2);
    Sample bad = out[0];
    bad.name = "shapes differ";
    bad.inputs[0].shape = {3, 36};
    bad.refused = true;
    out.push_back(bad);
    return out;
  }
};

template <class F>
struct BinaryOp {
  using Attrs = NoAttrs;
  static constexpr bool kInts = requires { requires F::ints; };
  static constexpr bool kCompares = requires { requires F::compares; };
  // Saved only when the gradient reads them (sum and difference do not).
  static constexpr bool kSaves = !kCompares && !requires { requires F::linear; };
  static constexpr OpTraits make_traits() {
    OpTraits t{.name = F::kName};
    t.inputs = 2;
    t.saved_inputs = kSaves ? 3 : 0;
    t.cost = Cost::Memory;
    t.layout = Layout::Any;
    t.differentiable = kCompares ? Differentiable::None : Differentiable::AnyOrder;
    return t;
  }
  static constexpr OpTraits traits = make_traits();
  static Metas infer(const Attrs&, Inputs in) {
    const Tensor &a = in[0], &b = in[1];
    if (a.dtype() != b.dtype()) [[unlikely]]
      throw_hint(ErrorKind::Usage, "cast one of them", "{}: {} with {}", F::kName, a.describe(),
                 b.describe());
    check(is_float(a.dtype()) || (kInts && a.dtype() != DType::boolean), ErrorKind::Usage,
          "{}: dtype {} is not supported", F::kName, dtype_name(a.dtype()));
    const DType dtype = kCompares ? DType::boolean : a.dtype();
    // The memory order of a full-sized input, of one without gaps if there is one.
    if (a.sizes() == b.sizes()) return {dense_like(a.is_dense() || !b.is_dense() ? a : b, dtype)};
    Dims sizes = broadcast_shape(a.sizes(), b.sizes(), F::kName);
    if (a.sizes() == sizes) return {dense_like(a, dtype)};
    if (b.sizes() == sizes) return {dense_like(b, dtype)};
    return {{std::move(sizes), dtype, {}}};
  }
  static TensorVec backward(const Attrs&, const BackwardArgs& g) {
    if constexpr (kCompares) {
      return TensorVec(2);
    } else {
      TensorVec out(2);
      static const Tensor absent;
      const Tensor& a = kSaves ? g.input(0) : absent;
      const Tensor& b = kSaves ? g.input(1) : absent;
      Tensor same;  // of a symmetric op: both gradients, before summing
      if (g.needs(0)) {
        same = F::grad_a(g.grad(), a, b);
        out[0] = sum_to(same, g.input_meta(0).sizes);
      }
      if (g.needs(1)) {
        if (!(requires { requires F::symmetric; } && same.defined()))
          same = F::grad_b(g.grad(), a, b);
        out[1] = sum_to(same, g.input_meta(1).sizes);
      }
      return out;
    }
  }
  static std::vector<Sample> samples() {
    std::vector<Sample> out;
    const auto add = [&](const char* name, Dims a, Dims b, bool refused = false) {
      Sample s{
          name,
          {floats(a, unary_low<F>(), unary_high<F>()), floats(b, unary_low<F>(), unary_high<F>())},
          make_attrs(NoAttrs{}),
          0,
          refused};
      for (InputSpec& i : s.inputs) i.apart = unary_apart<F>();
      // With `apart` both inputs would hold the same points; move the second between them.
      if (unary_apart<F>() > 0)
        s.inputs[1].finish = [](std::vector<double>& v) {
          for (double& x : v) x += 0.5 * unary_apart<F>();
        };
      out.push_back(std::move(s));
    };
    add("same", {3, 37}, {3, 37});
    add("row", {4, 19}, {19});
    add("column", {4, 19}, {4, 1});
    add("outer", {5, 1}, {1, 3});
    add("scalar", {2, 3}, {});
    add("scalars", {}, {});
    add("empty", {0, 3}, {1, 3});
    add("channel", {2, 5, 3, 4}, {5, 1, 1});
    add("image", {2, 5, 3, 4}, {2, 5, 3, 4});
    add("mismatch", {2, 3}, {2, 4}, true);
    if constexpr (kInts) {
      Sample s{"integers", {ints({3, 7}, 1, 9), ints({7}, 1, 9)}, make_attrs(NoAttrs{})};
      out.push_back(s);
    }
    return out;
  }
};

}  // namespace tenon
