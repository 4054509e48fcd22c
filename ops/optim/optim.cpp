#include "ops/optim/optim.h"

#include <cmath>

#include "ops/registry/plain.h"

namespace tenon {

TENON_REGISTER_OP(AdamStep);
TENON_REGISTER_OP(SgdStep);
TENON_REGISTER_OP(EmaStep);
TENON_REGISTER_OP(ScaleInPlace);
TENON_REGISTER_OP(SumOfSquares);

namespace {

void check_flat(Inputs in, const char* op) {
  for (const Tensor& t : in)
    check(!t.defined() || (t.rank() == 1 && t.numel() == in[0].numel() &&
                           (t.dtype() == DType::f32 || t.dtype() == DType::f64)),
          ErrorKind::Usage,
          "{}: buffer {} is not supported, want flat ones of f32 or f64 of one "
          "length ({})",
          op, t.defined() ? t.describe() : "", in[0].numel());
}

// Names the op, the argument and its range.
void check_range(bool ok, const char* op, const char* what, double value, const char* range) {
  check(ok, ErrorKind::Usage, "{}: {} is {}, want {}", op, what, value, range);
}

}  // namespace

Metas AdamStep::infer(const Attrs& a, Inputs in) {
  check_flat(in, traits.name);
  check_range(a.beta1 >= 0 && a.beta1 < 1, traits.name, "beta1", a.beta1, "0 <= beta1 < 1");
  check_range(a.beta2 >= 0 && a.beta2 < 1, traits.name, "beta2", a.beta2, "0 <= beta2 < 1");
  check_range(a.eps >= 0, traits.name, "eps", a.eps, "0 or more");
  check_range(a.step >= 1, traits.name, "step", static_cast<double>(a.step), "1 or more");
  check_range(a.ema_beta >= 0 && a.ema_beta <= 1, traits.name, "ema_beta", a.ema_beta,
              "0 <= ema_beta <= 1");
  return {};
}
Metas SgdStep::infer(const Attrs& a, Inputs in) {
  check_flat(in, traits.name);
  check_range(a.momentum >= 0, traits.name, "momentum", a.momentum, "0 or more");
  check(a.momentum == 0 || in[2].defined(), ErrorKind::Usage, "{}: momentum {} needs a velocity",
        traits.name, a.momentum);
  return {};
}
Metas EmaStep::infer(const Attrs& a, Inputs in) {
  check_flat(in, traits.name);
  check_range(a.beta >= 0 && a.beta <= 1, traits.name, "beta", a.beta, "0 <= beta <= 1");
  return {};
}
Metas ScaleInPlace::infer(const Attrs&, Inputs in) {
  check_flat(in, traits.name);
  return {};
}
Metas SumOfSquares::infer(const Attrs&, Inputs in) {
  check_flat(in, traits.name);
  return {{{}, DType::f64, {}}};
}

double grad_norm(const Tensor& flat) {
  return std::sqrt(sum_of_squares(flat).item());
}

std::vector<Sample> AdamStep::samples() {
  const auto with = [](const char* name, int64_t n, AdamAttrs a, bool ema = false) {
    return Sample{
        name,
        {floats({n}), floats({n}), floats({n}), floats({n}, 0.1, 2), ema ? floats({n}) : none()},
        make_attrs(a)};
  };
  std::vector<Sample> out = {
      with("adam", 37, {.step = 3}),
      with("first", 16, {.lr = 0.1, .step = 1}),
      with("decay", 19, {.weight_decay = 0.1, .step = 10}),
      with("adamw", 53, {.weight_decay = 0.1, .decoupled = true, .step = 10}),
      with("scaled", 33, {.beta1 = 0.5, .step = 2, .grad_scale = 0.25, .replace_nonfinite = true}),
      with("ema", 41, {.step = 5, .ema_beta = 0.9}, true),
      with("ema_copy", 41, {.step = 5}, true),
      with("empty", 0, {}),
  };
  const auto refuse = [&](Sample s) {
    s.refused = true;
    out.push_back(std::move(s));
  };
  refuse(with("step_0", 4, {.step = 0}));
  refuse(with("beta", 4, {.beta2 = 1}));
  Sample lengths = with("lengths", 4, {});
  lengths.inputs[1] = floats({5});
  refuse(lengths);
  Sample rank = with("rank", 4, {});
  rank.inputs[0] = floats({2, 2});
  refuse(rank);
  return out;
}
std::vector<Sample> SgdStep::samples() {
  const auto with = [](const char* name, int64_t n, SgdAttrs a, bool velocity) {
    return Sample{name, {floats({n}), floats({n}), velocity ? floats({n}) : none()}, make_attrs(a)};
  };
  std::vector<Sample> out = {
      with("plain", 37, {}, false),
      with("momentum", 37, {.momentum = 0.9, .weight_decay = 0.01}, true),
      with("nesterov", 21, {.momentum = 0.9, .nesterov = true, .grad_scale = 2}, true),
      with("empty", 0, {}, false),
      with("no_velocity", 3, {.momentum = 0.9}, false),
  };
  out.back().refused = true;
  return out;
}
std::vector<Sample> EmaStep::samples() {
  return {{"odd", {floats({37}), floats({37})}, make_attrs(Attrs{0.9})},
          {"copy", {floats({5}), floats({5})}, make_attrs(Attrs{0})},
          {"empty", {floats({0}), floats({0})}, make_attrs(Attrs{0.9})},
          {"beta", {floats({5}), floats({5})}, make_attrs(Attrs{1.5}), 0, true},
          {"lengths", {floats({5}), floats({4})}, make_attrs(Attrs{0.5}), 0, true}};
}
std::vector<Sample> ScaleInPlace::samples() {
  return {{"odd", {floats({37})}, make_attrs(Attrs{0.3})},
          {"empty", {floats({0})}, make_attrs(Attrs{2})},
          {"rank", {floats({2, 2})}, make_attrs(Attrs{2}), 0, true}};
}
std::vector<Sample> SumOfSquares::samples() {
  return {{"odd", {floats({1037})}, make_attrs(Attrs{})},
          {"empty", {floats({0})}, make_attrs(Attrs{})},
          {"rank", {floats({2, 2})}, make_attrs(Attrs{}), 0, true}};
}

namespace {

// Runs f(values, i) for each element, values being the buffers as double, and writes back those
// that are changed.
template <class F>
void each_element(const KernelCall& call, uint32_t changed, const F& f) {
  std::vector<std::vector<double>> values;
  for (const Tensor& t : call.in)
    values.push_back(t.defined() ? t.to_vector<double>()
                                 : std::vector<double>(static_cast<size_t>(call.in[0].numel())));
  for (size_t i = 0; i < values[0].size(); ++i) f(values, i);
  for (size_t n = 0; n < values.size(); ++n) {
    if (!call.in[n].defined() || !((changed >> n) & 1u)) continue;
    visit_float(call.in[n].dtype(), "optim", [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (size_t i = 0; i < values[n].size(); ++i)
        call.in[n].data<T>()[i] = static_cast<T>(values[n][i]);
    });
  }
}

double clean_gradient(double g, double scale, bool replace) {
  g *= scale;
  if (!replace || std::isfinite(g)) return g;
  return std::isnan(g) ? 0 : std::copysign(1e5, g);
}

double ema_value(double ema, double param, double beta) {
  return beta == 0 ? param : ema * beta + param * (1 - beta);
}

void adam_ref(const KernelCall& call) {
  const auto& a = call.get<AdamAttrs>();
  const double correction1 = 1 - std::pow(a.beta1, static_cast<double>(a.step));
  const double correction2 = 1 - std::pow(a.beta2, static_cast<double>(a.step));
  each_element(call, AdamStep::traits.mutates, [&](auto& x, size_t i) {
    double &param = x[0][i], &m = x[2][i], &v = x[3][i];
    double g = clean_gradient(x[1][i], a.grad_scale, a.replace_nonfinite);
    if (a.decoupled)
      param *= 1 - a.lr * a.weight_decay;
    else
      g += a.weight_decay * param;
    m = a.beta1 * m + (1 - a.beta1) * g;
    v = a.beta2 * v + (1 - a.beta2) * g * g;
    param -= a.lr / correction1 * m / (std::sqrt(v) / std::sqrt(correction2) + a.eps);
    x[4][i] = ema_value(x[4][i], param, a.ema_beta);
  });
}
TENON_REGISTER_KERNEL(AdamStep, {.name = "ref", .rank = kRankRef, .run = adam_ref});

void sgd_ref(const KernelCall& call) {
  const auto& a = call.get<SgdAttrs>();
  each_element(call, SgdStep::traits.mutates, [&](auto& x, size_t i) {
    double g = clean_gradient(x[1][i], a.grad_scale, a.replace_nonfinite);
    g += a.weight_decay * x[0][i];
    if (a.momentum != 0) {
      x[2][i] = a.momentum * x[2][i] + g;
      g = a.nesterov ? g + a.momentum * x[2][i] : x[2][i];
    }
    x[0][i] -= a.lr * g;
  });
}
TENON_REGISTER_KERNEL(SgdStep, {.name = "ref", .rank = kRankRef, .run = sgd_ref});

void ema_ref(const KernelCall& call) {
  const double beta = call.get<EmaStep::Attrs>().beta;
  each_element(call, EmaStep::traits.mutates,
               [&](auto& x, size_t i) { x[0][i] = ema_value(x[0][i], x[1][i], beta); });
}
TENON_REGISTER_KERNEL(EmaStep, {.name = "ref", .rank = kRankRef, .run = ema_ref});

void scale_ref(const KernelCall& call) {
  const double factor = call.get<ScaleInPlace::Attrs>().factor;
  each_element(call, ScaleInPlace::traits.mutates, [&](auto& x, size_t i) { x[0][i] *= factor; });
}
TENON_REGISTER_KERNEL(ScaleInPlace, {.name = "ref", .rank = kRankRef, .run = scale_ref});

void sum_of_squares_ref(const KernelCall& call) {
  double sum = 0;
  for (const double x : call.in[0].to_vector<double>()) sum += x * x;
  *call.out[0].data<double>() = sum;
}
TENON_REGISTER_KERNEL(SumOfSquares, {.name = "ref", .rank = kRankRef, .run = sum_of_squares_ref});

}  // namespace
}  // namespace tenon
