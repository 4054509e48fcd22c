#include "tests/ops/walker.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "autograd/engine.h"
#include "autograd/variable.h"
#include "core/base/rng.h"
#include "core/simd/parallel.h"
#include "ops/pointwise/cast.h"

namespace tenon::walker {

namespace {

bool bit(uint32_t mask, size_t i) {
  return i < 32 && (mask >> i) & 1u;
}

double uniform(RngKey key, uint64_t i) {
  const Philox4 r = key.block(i);
  return (static_cast<double>(r.v[0]) * 4294967296.0 + r.v[1]) / 18446744073709551616.0;
}

const Implementation* reference(const OpInfo& op) {
  for (const Implementation& impl : op.implementations[0])
    if (std::string_view(impl.name) == "ref") return &impl;
  return nullptr;
}

// The judge: the reference implementation on f64 inputs. Views have no kernel: the view is copied.
TensorVec judge(const OpInfo& op, const Sample& s, const TensorVec& in) {
  const NoGrad off;
  if (op.view) return apply(op, s.attrs.get(), in);
  return run_implementation(op, *reference(op), s.attrs.get(), in);
}

double tolerance(const Sample& s, DType dtype) {
  const double f32 = s.tolerance > 0 ? s.tolerance : 2e-5;
  switch (dtype) {
    case DType::f64:
      return std::min(f32, 1e-10);
    case DType::f32:
      return f32;
    case DType::f16:
      return std::max(f32, 4e-3);
    default:
      return std::max(f32, 3e-2);
  }
}

// Compares all outputs (extras too where both have them); "" when close.
std::string compare(const TensorVec& got, const TensorVec& want, double tol) {
  for (size_t i = 0; i < std::min(got.size(), want.size()); ++i) {
    if (!got[i].defined() || !want[i].defined()) continue;
    if (got[i].sizes() != want[i].sizes())
      return fmt::format("output {} is {}, want {}", i, got[i].describe(), want[i].describe());
    const Difference d = difference(got[i], want[i]);
    const double limit = is_float(want[i].dtype()) ? tol * std::max(d.max_ref, 1e-3) : 0;
    if (!(d.max_abs <= limit))
      return fmt::format(
          "output {} {}: error {:.3g} at element {}, largest value {:.3g}, limit {:.3g}", i,
          got[i].describe(), d.max_abs, d.index, d.max_ref, limit);
  }
  return "";
}

bool bitwise_equal(const Tensor& a, const Tensor& b) {
  if (a.sizes() != b.sizes() || a.dtype() != b.dtype()) return false;
  const Tensor x = contiguous(a.detach()), y = contiguous(b.detach());
  return x.bytes() == 0 || std::memcmp(x.raw(), y.raw(), x.bytes()) == 0;
}

std::string all_bitwise(const TensorVec& a, const TensorVec& b, const char* what) {
  if (a.size() != b.size()) return fmt::format("{}: number of outputs differs", what);
  for (size_t i = 0; i < a.size(); ++i)
    if (a[i].defined() != b[i].defined() || (a[i].defined() && !bitwise_equal(a[i], b[i])))
      return fmt::format("{}: output {} differs", what, i);
  return "";
}

bool valid(const OpInfo&, const Sample& s) {
  return !s.refused;
}
bool refused(const OpInfo&, const Sample& s) {
  return s.refused;
}

bool has_float_input(const OpInfo&, const Sample& s) {
  return std::any_of(s.inputs.begin(), s.inputs.end(),
                     [](const InputSpec& i) { return i.kind == InputSpec::Kind::Float; });
}
bool differentiable(const OpInfo& op, const Sample& s) {
  return valid(op, s) && op.traits.differentiable != Differentiable::None &&
         std::any_of(s.inputs.begin(), s.inputs.end(), [](const InputSpec& i) {
           return i.kind == InputSpec::Kind::Float && i.differentiable;
         });
}
bool kernel_op(const OpInfo& op, const Sample& s) {
  return valid(op, s) && !op.view;
}

// Every implementation of every device, on inputs prepared by `prepare`, against the reference.
template <class Prepare>
std::string against_reference(const OpInfo& op, const Sample& s, DType dtype, Prepare&& prepare) {
  const TensorVec exact = make_inputs(op, s);
  // The judge sees the values after rounding to dtype, so only the kernel's own error counts.
  const TensorVec rounded = with_dtype(s, exact, dtype);
  const TensorVec want = judge(op, s, with_dtype(s, rounded, DType::f64));
  for (int device = 0; device < kDeviceKinds; ++device) {
    if (!device_available(static_cast<DeviceKind>(device))) continue;
    for (const Implementation& impl : op.implementations[device]) {
      TensorVec in = with_dtype(s, exact, dtype);
      for (Tensor& t : in)
        if (t.defined()) t = prepare(t).to(Device{static_cast<DeviceKind>(device), 0});
      TensorVec got;
      try {
        got = run_implementation(op, impl, s.attrs.get(), in);
      } catch (const Error& e) {
        if (e.message().find("refused") != std::string::npos ||
            e.message().find("is not supported") != std::string::npos)
          continue;  // the list goes on to the next one
        return fmt::format("{}: {}", impl.name, e.what());
      }
      if (std::string bad = compare(got, want, tolerance(s, dtype)); !bad.empty())
        return fmt::format("{} {}: {}", impl.name, dtype_name(dtype), bad);
      for (size_t i = 0; i < in.size(); ++i)
        if (bit(op.traits.mutates, i) && in[i].defined()) {
          TensorVec judged = with_dtype(s, rounded, DType::f64);
          const NoGrad off;
          run_implementation(op, *reference(op), s.attrs.get(), judged);
          if (std::string bad = compare({in[i]}, {judged[i]}, tolerance(s, dtype)); !bad.empty())
            return fmt::format("{} {}: changed input {}: {}", impl.name, dtype_name(dtype), i, bad);
        }
    }
  }
  return "";
}

Tensor same(const Tensor& t) {
  return t;
}

// The same values in memory of another order: last two axes swapped, with a gap after each row.
Tensor strided(const Tensor& t) {
  if (t.rank() < 1 || t.numel() == 0) return t;
  Dims sizes = t.sizes(), strides(sizes.size());
  int64_t step = 2;
  for (size_t d = 0; d < sizes.size(); ++d) {  // first axis fastest
    strides[d] = step;
    step *= sizes[d] + 1;
  }
  Tensor out = Tensor::empty_strided(sizes, strides, t.dtype());
  copy_values(t, out);
  return out;
}
// The same values in the middle of a larger tensor.
Tensor sliced(const Tensor& t) {
  if (t.rank() < 1) return t;
  Dims sizes = t.sizes();
  sizes.back() += 3;
  const Tensor big = Tensor::full(sizes, 7.0, t.dtype());
  const Tensor out = big.narrow_view(-1, 1, t.size(-1));
  copy_values(t, out);
  return out;
}

std::string check_refusal(const OpInfo& op, const Sample& s) {
  try {
    const TensorVec in = with_dtype(s, make_inputs(op, s), DType::f32);
    const NoGrad off;
    apply(op, s.attrs.get(), in);
  } catch (const Error& e) {
    if (e.message().find(op.traits.name) == std::string::npos)
      return fmt::format("the error does not name the op: {}", e.message());
    return e.kind() == ErrorKind::Usage ? "" : fmt::format("wrong kind of error: {}", e.message());
  }
  return "was accepted";
}

std::string check_input_count(const OpInfo& op, const Sample& s) {
  TensorVec in = with_dtype(s, make_inputs(op, s), DType::f32);
  if (op.traits.inputs >= 0)
    in.push_back(Tensor::scalar(1.0));
  else
    in.clear();
  try {
    const NoGrad off;
    apply(op, s.attrs.get(), in);
  } catch (const Error& e) {
    return e.message().find(op.traits.name) != std::string::npos ? "" : e.message();
  }
  return "a wrong number of inputs was accepted";
}

std::string check_undefined(const OpInfo& op, const Sample& s) {
  TensorVec in = with_dtype(s, make_inputs(op, s), DType::f32);
  for (size_t i = 0; i < in.size(); ++i) {
    if (bit(op.traits.optional_inputs, i)) continue;
    TensorVec broken = in;
    broken[i] = Tensor();
    try {
      const NoGrad off;
      apply(op, s.attrs.get(), broken);
      return fmt::format("input {} undefined was accepted", i);
    } catch (const Error& e) {
      if (e.message().find(op.traits.name) == std::string::npos) return e.message();
    }
  }
  return "";
}

std::string check_mixed(const OpInfo& op, const Sample& s) {
  const TensorVec in = with_dtype(s, make_inputs(op, s), DType::f32);
  SmallVec<size_t, 8> at;
  for (size_t i = 0; i < in.size(); ++i)
    if (in[i].defined() && is_float(in[i].dtype()) && !bit(op.traits.mixed_dtype, i))
      at.push_back(i);
  if (at.size() < 2) return "";
  TensorVec mixed = in;
  mixed[at.back()] = cast(mixed[at.back()], DType::f64);
  try {
    const NoGrad off;
    apply(op, s.attrs.get(), mixed);
  } catch (const Error& e) {
    const bool named = e.message().find("f32") != std::string::npos &&
                       e.message().find("f64") != std::string::npos;
    return named ? "" : fmt::format("the error does not name both types: {}", e.message());
  }
  return "f32 with f64 was accepted";
}

std::string check_meta(const OpInfo& op, const Sample& s) {
  const TensorVec in = with_dtype(s, make_inputs(op, s), DType::f32);
  const Metas metas = op.infer(s.attrs.get(), in);
  const NoGrad off;
  const TensorVec out = apply(op, s.attrs.get(), in);
  if (out.size() != static_cast<size_t>(op.traits.outputs))
    return fmt::format("{} outputs, declared {}", out.size(), op.traits.outputs);
  if (metas.size() != static_cast<size_t>(op.traits.outputs + op.traits.extras))
    return fmt::format("infer gives {} outputs, declared {} + {}", metas.size(), op.traits.outputs,
                       op.traits.extras);
  for (size_t i = 0; i < out.size(); ++i)
    if (out[i].sizes() != metas[i].sizes || out[i].dtype() != metas[i].dtype)
      return fmt::format("output {} is {}, inferred {}", i, out[i].describe(),
                         to_string(metas[i].sizes));
  return "";
}

std::string check_has_reference(const OpInfo& op, const Sample&) {
  return reference(op) ? "" : "there is no implementation named ref on the CPU";
}

std::string check_f64(const OpInfo& op, const Sample& s) {
  return against_reference(op, s, DType::f64, same);
}
std::string check_f32(const OpInfo& op, const Sample& s) {
  return against_reference(op, s, DType::f32, same);
}
std::string check_bf16(const OpInfo& op, const Sample& s) {
  return against_reference(op, s, DType::bf16, same);
}
std::string check_f16(const OpInfo& op, const Sample& s) {
  return against_reference(op, s, DType::f16, same);
}
std::string check_strided(const OpInfo& op, const Sample& s) {
  if (op.traits.mutates) return "";
  return against_reference(op, s, DType::f32, strided);
}
std::string check_sliced(const OpInfo& op, const Sample& s) {
  if (op.traits.mutates) return "";
  return against_reference(op, s, DType::f32, sliced);
}
std::string check_channels_last(const OpInfo& op, const Sample& s) {
  if (op.traits.mutates) return "";
  return against_reference(op, s, DType::f32,
                           [](const Tensor& t) { return t.rank() == 4 ? channels_last(t) : t; });
}

// Runs the op through apply() on strided inputs: the path users take, copies included.
std::string check_apply_strided(const OpInfo& op, const Sample& s) {
  if (op.traits.mutates) return "";
  const NoGrad off;
  const TensorVec in = with_dtype(s, make_inputs(op, s), DType::f32);
  TensorVec odd = in;
  for (Tensor& t : odd)
    if (t.defined()) t = strided(t);
  return compare(apply(op, s.attrs.get(), odd), judge(op, s, with_dtype(s, in, DType::f64)),
                 tolerance(s, DType::f32));
}

TensorVec fresh_inputs(const OpInfo& op, const Sample& s, DType dtype, bool grads) {
  TensorVec in = with_dtype(s, make_inputs(op, s), dtype);
  for (size_t i = 0; i < in.size() && grads; ++i)
    if (in[i].defined() && is_float(in[i].dtype()) && s.inputs[i].differentiable &&
        !bit(op.traits.mutates, i))
      set_requires_grad(in[i]);
  return in;
}

// Fixed weights w, one tensor per output; the scalar that is differentiated is sum(w * output).
TensorVec output_weights(const TensorVec& out) {
  TensorVec weights;
  for (size_t i = 0; i < out.size(); ++i) {
    std::vector<double> w(static_cast<size_t>(out[i].numel()));
    const RngKey key = RngKey{99}.fold(i);
    for (size_t k = 0; k < w.size(); ++k) w[k] = 2 * uniform(key, k) - 1;
    weights.push_back(cast(Tensor::from(w, out[i].sizes()), out[i].dtype()));
  }
  return weights;
}

TensorVec gradients(const OpInfo& op, const Sample& s, const TensorVec& in,
                    bool through_checkpoint) {
  TensorVec out;
  if (through_checkpoint)
    out = checkpoint([&](Inputs x) { return apply(op, s.attrs.get(), x); }, in);
  else
    out = apply(op, s.attrs.get(), in);
  const TensorVec w = output_weights(out);
  std::vector<Tensor> roots, seeds;
  for (size_t i = 0; i < out.size(); ++i)
    if (is_float(out[i].dtype()) && requires_grad(out[i])) {
      roots.push_back(out[i]);
      seeds.push_back(w[i]);
    }
  if (roots.empty()) return TensorVec(in.size());
  backward(roots, seeds);
  TensorVec g;
  for (const Tensor& t : in) g.push_back(t.defined() && requires_grad(t) ? grad_of(t) : Tensor());
  return g;
}

double weighted_sum(const OpInfo& op, const Sample& s, const TensorVec& in) {
  const NoGrad off;
  const TensorVec out = apply(op, s.attrs.get(), in);
  const TensorVec w = output_weights(out);
  double sum = 0;
  for (size_t i = 0; i < out.size(); ++i) {
    if (!is_float(out[i].dtype())) continue;
    const auto a = out[i].to_vector<double>(), b = w[i].to_vector<double>();
    for (size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
  }
  return sum;
}

std::vector<double> direction(const Tensor& t, uint64_t which) {
  std::vector<double> v(static_cast<size_t>(t.numel()));
  const RngKey key = RngKey{7}.fold(which);
  for (size_t k = 0; k < v.size(); ++k) v[k] = 2 * uniform(key, k) - 1;
  return v;
}

Tensor moved(const Tensor& t, const std::vector<double>& dir, double h) {
  std::vector<double> v = t.to_vector<double>();
  for (size_t k = 0; k < v.size(); ++k) v[k] += h * dir[k];
  return Tensor::from(v, t.sizes());
}

// 4-point central difference of f along a direction.
template <class F>
double slope(F&& f, double h) {
  return (8 * (f(h) - f(-h)) - (f(2 * h) - f(-2 * h))) / (12 * h);
}

std::string check_gradient(const OpInfo& op, const Sample& s) {
  const TensorVec in = fresh_inputs(op, s, DType::f64, true);
  const TensorVec g = gradients(op, s, in, false);
  for (size_t i = 0; i < in.size(); ++i) {
    if (!in[i].defined() || !requires_grad(in[i])) continue;
    if (in[i].numel() == 0) continue;
    const std::vector<double> got =
        g[i].defined() ? g[i].to_vector<double>() : std::vector<double>(in[i].numel(), 0.0);
    // Small inputs element by element, large ones along random directions.
    const bool elements = in[i].numel() <= 12;
    const int64_t count = elements ? in[i].numel() : 4;
    for (int64_t n = 0; n < count; ++n) {
      std::vector<double> dir(static_cast<size_t>(in[i].numel()), 0.0);
      if (elements)
        dir[static_cast<size_t>(n)] = 1;
      else
        dir = direction(in[i], static_cast<uint64_t>(n));
      double expect = 0;
      for (size_t k = 0; k < dir.size(); ++k) expect += dir[k] * got[k];
      const double h = s.inputs[i].apart > 0 ? std::min(1e-3, s.inputs[i].apart / 8) : 1e-3;
      const double measured = slope(
          [&](double step) {
            TensorVec x;
            for (const Tensor& t : in) x.push_back(t.defined() ? t.detach() : t);
            x[i] = moved(in[i], dir, step);
            return weighted_sum(op, s, x);
          },
          h);
      if (!(std::abs(measured - expect) <= 1e-6 * std::max(1.0, std::abs(expect))))
        return fmt::format("input {}, direction {}: gradient {:.9g}, finite difference {:.9g}", i,
                           n, expect, measured);
    }
  }
  return "";
}

bool any_order(const OpInfo& op, const Sample& s) {
  return differentiable(op, s) && op.traits.differentiable == Differentiable::AnyOrder;
}

// d/dx of <v, grad(x)> against finite differences of the first gradient.
std::string check_second_order(const OpInfo& op, const Sample& s) {
  const TensorVec in = fresh_inputs(op, s, DType::f64, true);
  std::vector<Tensor> leaves;
  std::vector<size_t> which;
  for (size_t i = 0; i < in.size(); ++i)
    if (in[i].defined() && requires_grad(in[i])) {
      leaves.push_back(in[i]);
      which.push_back(i);
    }
  const auto first = [&](const TensorVec& x, const std::vector<Tensor>& wanted, bool create) {
    const TensorVec out = apply(op, s.attrs.get(), x);
    const TensorVec w = output_weights(out);
    return grad(std::span(out.data(), 1), std::span(w.data(), 1), wanted, {.create_graph = create});
  };
  const std::vector<Tensor> g = first(in, leaves, true);
  std::vector<Tensor> roots, seeds;
  for (size_t i = 0; i < g.size(); ++i)
    if (g[i].defined() && requires_grad(g[i])) {
      roots.push_back(g[i]);
      seeds.push_back(Tensor::from(direction(g[i], 50 + i), g[i].sizes()));
    }
  if (roots.empty()) return "";  // linear: the second derivative is zero
  const std::vector<Tensor> gg = grad(roots, seeds, leaves);
  for (size_t n = 0; n < leaves.size(); ++n) {
    if (leaves[n].numel() == 0) continue;
    const std::vector<double> dir = direction(leaves[n], 80 + n);
    double expect = 0;
    if (gg[n].defined()) {
      const auto v = gg[n].to_vector<double>();
      for (size_t k = 0; k < v.size(); ++k) expect += v[k] * dir[k];
    }
    const double measured = slope(
        [&](double step) {
          TensorVec x;
          for (const Tensor& t : in) x.push_back(t.defined() ? t.detach() : t);
          x[which[n]] = moved(leaves[n], dir, step);
          std::vector<Tensor> wanted;
          for (const size_t i : which) {
            set_requires_grad(x[i]);
            wanted.push_back(x[i]);
          }
          const std::vector<Tensor> gx = first(x, wanted, false);
          double sum = 0;
          size_t at = 0;
          for (size_t i = 0; i < g.size(); ++i) {
            if (!(g[i].defined() && requires_grad(g[i]))) continue;
            const auto a = gx[i].to_vector<double>(), b = seeds[at++].to_vector<double>();
            for (size_t k = 0; k < a.size(); ++k) sum += a[k] * b[k];
          }
          return sum;
        },
        s.inputs[which[n]].apart > 0 ? std::min(1e-3, s.inputs[which[n]].apart / 8) : 1e-3);
    if (!(std::abs(measured - expect) <= 1e-5 * std::max(1.0, std::abs(expect))))
      return fmt::format("input {}: second derivative {:.9g}, finite difference {:.9g}", which[n],
                         expect, measured);
  }
  return "";
}

std::string check_first_order_only(const OpInfo& op, const Sample& s) {
  const TensorVec in = fresh_inputs(op, s, DType::f64, true);
  const TensorVec out = apply(op, s.attrs.get(), in);
  if (!requires_grad(out[0])) return "";
  const TensorVec w = output_weights(out);
  try {
    backward(std::span(out.data(), 1), std::span(w.data(), 1), {.create_graph = true});
  } catch (const Error& e) {
    return e.message().find(op.traits.name) != std::string::npos ? "" : e.message();
  }
  return "a gradient of a first-order op was recorded without a word";
}
bool first_order(const OpInfo& op, const Sample& s) {
  return differentiable(op, s) && op.traits.differentiable == Differentiable::FirstOrder;
}

std::string check_no_gradient_refused(const OpInfo& op, const Sample& s) {
  TensorVec in = with_dtype(s, make_inputs(op, s), DType::f32);
  bool any = false;
  for (Tensor& t : in)
    if (t.defined() && is_float(t.dtype())) {
      set_requires_grad(t);
      any = true;
    }
  if (!any) return "";
  try {
    apply(op, s.attrs.get(), in);
  } catch (const Error& e) {
    return e.message().find(op.traits.name) != std::string::npos ? "" : e.message();
  }
  return "an input that requires grad was accepted";
}
bool no_gradient(const OpInfo& op, const Sample& s) {
  return valid(op, s) && op.traits.differentiable == Differentiable::None && has_float_input(op, s);
}

// Gradients of inputs that nobody asked for must not be computed, and asking for one alone must not
// change it.
std::string check_needed_only(const OpInfo& op, const Sample& s) {
  const TensorVec all_in = fresh_inputs(op, s, DType::f64, true);
  const TensorVec all = gradients(op, s, all_in, false);
  for (size_t i = 0; i < all_in.size(); ++i) {
    if (!all_in[i].defined() || !requires_grad(all_in[i])) continue;
    TensorVec in = fresh_inputs(op, s, DType::f64, false);
    set_requires_grad(in[i]);
    const TensorVec g = gradients(op, s, in, false);
    if (g[i].defined() != all[i].defined())
      return fmt::format("gradient {} depends on whether others are wanted", i);
    if (g[i].defined())
      if (const Difference d = difference(g[i], all[i]);
          d.max_abs > 1e-12 * std::max(1.0, d.max_ref))
        return fmt::format("gradient {} alone differs by {:.3g}", i, d.max_abs);
  }
  return "";
}

std::string check_saved_bytes(const OpInfo& op, const Sample& s) {
  const TensorVec in = fresh_inputs(op, s, DType::f32, true);
  const TensorVec out = apply(op, s.attrs.get(), in);
  if (!requires_grad(out[0])) return "";
  size_t declared = 0;
  for (size_t i = 0; i < in.size(); ++i)
    if (bit(op.traits.saved_inputs, i) && in[i].defined()) declared += in[i].bytes();
  const Metas metas = op.infer(s.attrs.get(), in);
  for (size_t i = 0; i < metas.size(); ++i)
    if (bit(op.traits.saved_outputs, i))
      declared += static_cast<size_t>(count_elements(metas[i].sizes)) * dtype_size(metas[i].dtype);
  const size_t saved = saved_bytes(out[0]);
  return saved == declared ? "" : fmt::format("saved {} bytes, declared {}", saved, declared);
}

std::string check_version(const OpInfo& op, const Sample& s) {
  for (size_t i = 0; i < s.inputs.size(); ++i) {
    if (!bit(op.traits.saved_inputs, i)) continue;
    const TensorVec in = fresh_inputs(op, s, DType::f32, true);
    if (!in[i].defined()) continue;
    const TensorVec out = apply(op, s.attrs.get(), in);
    if (!requires_grad(out[0])) continue;
    in[i].bump_version("a test");
    const TensorVec w = output_weights(out);
    try {
      backward(std::span(out.data(), 1), std::span(w.data(), 1));
      return fmt::format("saved input {} was changed and backward did not say so", i);
    } catch (const Error& e) {
      if (e.message().find(op.traits.name) == std::string::npos ||
          e.message().find("a test") == std::string::npos)
        return fmt::format("the error does not name op and culprit: {}", e.message());
    }
  }
  return "";
}

std::string check_deterministic(const OpInfo& op, const Sample& s) {
  const bool grads = differentiable(op, s);
  const auto run = [&] {
    const TensorVec in = fresh_inputs(op, s, DType::f32, grads);
    return grads ? gradients(op, s, in, false) : apply(op, s.attrs.get(), in);
  };
  const TensorVec ga = run(), gb = run();
  return all_bitwise(ga, gb, "two runs");
}

std::string check_threads(const OpInfo& op, const Sample& s) {
  const NoGrad off;
  const int before = threads();
  set_threads(1);
  const TensorVec one = apply(op, s.attrs.get(), with_dtype(s, make_inputs(op, s), DType::f32));
  set_threads(2);
  const TensorVec two = apply(op, s.attrs.get(), with_dtype(s, make_inputs(op, s), DType::f32));
  set_threads(before);
  return all_bitwise(one, two, "1 and 2 threads");
}

std::string check_inputs_kept(const OpInfo& op, const Sample& s) {
  const NoGrad off;
  const TensorVec in = with_dtype(s, make_inputs(op, s), DType::f32);
  const TensorVec copy = with_dtype(s, make_inputs(op, s), DType::f32);
  const TensorVec out = apply(op, s.attrs.get(), in);
  for (size_t i = 0; i < in.size(); ++i) {
    if (!in[i].defined() || bit(op.traits.mutates, i)) continue;
    if (!bitwise_equal(in[i], copy[i])) return fmt::format("input {} was changed", i);
    for (const Tensor& o : out)
      if (!op.view && o.numel() && o.storage() == in[i].storage())
        return fmt::format("an output shares memory with input {}", i);
  }
  return "";
}

std::string check_autocast(const OpInfo& op, const Sample& s) {
  const NoGrad off;
  const TensorVec in = with_dtype(s, make_inputs(op, s), DType::f32);
  const TensorVec plain = apply(op, s.attrs.get(), in);
  TensorVec mixed;
  {
    const Autocast scope(DType::bf16);
    mixed = apply(op, s.attrs.get(), in);
  }
  if (op.traits.autocast != AutocastClass::Bf16)
    return all_bitwise(plain, mixed, "autocast of an op that keeps f32");
  for (size_t i = 0; i < mixed.size(); ++i)
    if (is_float(plain[i].dtype()) && mixed[i].dtype() != DType::bf16)
      return fmt::format("output {} is {} under autocast", i, mixed[i].describe());
  return compare(mixed, plain, 3e-2);
}

std::string check_checkpoint(const OpInfo& op, const Sample& s) {
  const TensorVec a = fresh_inputs(op, s, DType::f32, true),
                  b = fresh_inputs(op, s, DType::f32, true);
  return all_bitwise(gradients(op, s, a, false), gradients(op, s, b, true), "checkpoint");
}

std::string check_second_backward(const OpInfo& op, const Sample& s) {
  const TensorVec in = fresh_inputs(op, s, DType::f32, true);
  const TensorVec out = apply(op, s.attrs.get(), in);
  if (!requires_grad(out[0])) return "";
  const TensorVec w = output_weights(out);
  backward(std::span(out.data(), 1), std::span(w.data(), 1));
  try {
    backward(std::span(out.data(), 1), std::span(w.data(), 1));
  } catch (const Error& e) {
    return e.message().find(op.traits.name) != std::string::npos ? "" : e.message();
  }
  return "a second backward through a freed graph was accepted";
}

bool not_mutating(const OpInfo& op, const Sample& s) {
  return valid(op, s) && !op.traits.mutates;
}
bool thread_free(const OpInfo& op, const Sample& s) {
  return not_mutating(op, s) && !op.traits.thread_dependent;
}
bool count_checkable(const OpInfo& op, const Sample& s) {
  return valid(op, s) && (op.traits.inputs >= 0 || !s.inputs.empty());
}

}  // namespace

const std::vector<Check>& checks() {
  static const std::vector<Check> list = {
      {"reference", check_has_reference, kernel_op},
      {"refusal", check_refusal, refused},
      {"input_count", check_input_count, count_checkable},
      {"undefined", check_undefined, valid},
      {"mixed_dtype", check_mixed, valid},
      {"meta", check_meta, valid},
      {"f64", check_f64, kernel_op},
      {"f32", check_f32, kernel_op},
      {"bf16", check_bf16, kernel_op},
      {"f16", check_f16, kernel_op},
      {"strided", check_strided, kernel_op},
      {"sliced", check_sliced, kernel_op},
      {"channels_last", check_channels_last, kernel_op},
      {"apply_strided", check_apply_strided, kernel_op},
      {"gradient", check_gradient, differentiable},
      {"second_order", check_second_order, any_order},
      {"first_order_only", check_first_order_only, first_order},
      {"no_gradient", check_no_gradient_refused, no_gradient},
      {"needed_only", check_needed_only, differentiable},
      {"saved_bytes", check_saved_bytes, differentiable},
      {"version", check_version, differentiable},
      {"second_backward", check_second_backward, differentiable},
      {"checkpoint", check_checkpoint, differentiable},
      {"deterministic", check_deterministic, not_mutating},
      {"threads", check_threads, thread_free},
      {"inputs_kept", check_inputs_kept, valid},
      {"autocast", check_autocast, valid},
  };
  return list;
}

TensorVec make_inputs(const OpInfo& op, const Sample& sample) {
  TensorVec out;
  const RngKey key = RngKey{1}.fold(op.traits.name).fold(sample.name.c_str());
  for (size_t n = 0; n < sample.inputs.size(); ++n) {
    const InputSpec& spec = sample.inputs[n];
    if (spec.kind == InputSpec::Kind::None) {
      out.push_back(Tensor());
      continue;
    }
    const int64_t count = count_elements(spec.shape);
    std::vector<double> values(static_cast<size_t>(count));
    const RngKey k = key.fold(n);
    for (size_t i = 0; i < values.size(); ++i) {
      const double u = uniform(k, i);
      if (spec.kind == InputSpec::Kind::Float)
        values[i] = spec.low + (spec.high - spec.low) * u;
      else if (spec.kind == InputSpec::Kind::Bool)
        values[i] = u < 0.5;
      else
        values[i] = std::min(spec.high, std::floor(spec.low + (spec.high - spec.low + 1) * u));
    }
    if (spec.apart > 0) {
      // Ranks instead of values: a random order of points at least `apart` from each other and 0.
      std::vector<size_t> order(values.size());
      for (size_t i = 0; i < order.size(); ++i) order[i] = i;
      std::sort(order.begin(), order.end(),
                [&](size_t a, size_t b) { return values[a] < values[b]; });
      for (size_t r = 0; r < order.size(); ++r) {
        const double centred = static_cast<double>(r) - static_cast<double>(order.size() / 2);
        values[order[r]] = spec.apart * (centred + 0.5) * 2;
      }
    }
    if (spec.finish) spec.finish(values);
    const Tensor t = Tensor::from(values, spec.shape);
    if (spec.kind == InputSpec::Kind::Int)
      out.push_back(cast(t, spec.int_dtype));
    else if (spec.kind == InputSpec::Kind::Bool)
      out.push_back(cast(t, DType::boolean));
    else
      out.push_back(t);
  }
  return out;
}

TensorVec with_dtype(const Sample& s, const TensorVec& inputs, DType dtype) {
  TensorVec out;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Tensor& t = inputs[i];
    const DType floating = s.inputs[i].keeps_f32 && is_half(dtype) ? DType::f32 : dtype;
    if (!t.defined()) {
      out.push_back(t);
      continue;
    }
    // Always a copy, so that a check may change what it gets.
    Tensor copy = Tensor::empty(t.sizes(), is_float(t.dtype()) ? floating : t.dtype());
    copy_values(t.detach(), copy);
    out.push_back(copy);
  }
  return out;
}

std::string repro(const OpInfo& op, const Sample& sample, const Check& check) {
  return fmt::format("TENON_TEST_OP='{}' TENON_TEST_SAMPLE='{}' TENON_TEST_CHECK='{}' test_ops",
                     op.traits.name, sample.name, check.name);
}

}  // namespace tenon::walker
