#include "ops/loss/loss.h"

#include <cmath>

#include "ops/loss/targets.h"
#include "ops/registry/plain.h"

namespace tenon {

TENON_REGISTER_OP(CrossEntropy);
TENON_REGISTER_OP(CrossEntropyBackward);
TENON_REGISTER_OP(PairLoss);
TENON_REGISTER_OP(PairLossBackward);

int64_t counted_rows(const Tensor& target, int64_t classes, int64_t ignore_index) {
  const int64_t* t = target.data<int64_t>();
  int64_t counted = 0;
  for (int64_t n = 0; n < target.numel(); ++n) {
    if (t[n] == ignore_index) continue;
    check(t[n] >= 0 && t[n] < classes, ErrorKind::Usage,
          "cross_entropy: target {} at position {} is outside [0, {})", t[n], n, classes);
    ++counted;
  }
  return counted;
}

namespace {

// Losses and statistics of 2-byte types are f32.
DType wide(DType t) {
  return is_half(t) ? DType::f32 : t;
}

void check_cross_entropy(const CrossEntropy::Attrs& a, const Tensor& logits, const Tensor& target,
                         const char* op) {
  check_float(logits, op);
  check(logits.rank() == 2 && logits.size(1) > 0, ErrorKind::Usage, "{}: logits {}, want [N, C]",
        op, logits.describe());
  check(target.dtype() == DType::i64 && target.rank() == 1 && target.size(0) == logits.size(0),
        ErrorKind::Usage, "{}: target {} for logits {}, want i64 [N]", op, target.describe(),
        logits.describe());
  check(a.label_smoothing >= 0 && a.label_smoothing <= 1, ErrorKind::Usage,
        "{}: label smoothing {}, want 0 .. 1", op, a.label_smoothing);
}

void cross_entropy_ref(const KernelCall& call) {
  const auto& a = call.get<CrossEntropy::Attrs>();
  const auto x = doubles(call.in[0]);
  const int64_t* t = call.in[1].data<int64_t>();
  const int64_t rows = call.in[0].size(0), classes = call.in[0].size(1);
  const int64_t counted = counted_rows(call.in[1], classes, a.ignore_index);
  std::vector<double> loss, lse;
  double sum = 0;
  for (int64_t n = 0; n < rows; ++n) {
    const double* row = x.data() + n * classes;
    double top = -INFINITY, exps = 0, mean = 0;
    for (int64_t c = 0; c < classes; ++c) {
      top = std::fmax(top, row[c]);
      mean += row[c] / static_cast<double>(classes);
    }
    for (int64_t c = 0; c < classes; ++c) exps += std::exp(row[c] - top);
    lse.push_back(top + std::log(exps));
    const double s = a.label_smoothing;
    loss.push_back(t[n] == a.ignore_index ? 0 : lse.back() - (1 - s) * row[t[n]] - s * mean);
    sum += loss.back();
  }
  if (a.reduction == Reduction::Mean) sum /= static_cast<double>(std::max<int64_t>(counted, 1));
  fill(call.out[0], a.reduction == Reduction::None ? loss : std::vector<double>{sum});
  if (call.out[1].defined()) fill(call.out[1], lse);
}

void cross_entropy_backward_ref(const KernelCall& call) {
  const auto& a = call.get<CrossEntropy::Attrs>();
  const auto g = doubles(call.in[0]), x = doubles(call.in[1]), lse = doubles(call.in[3]);
  const int64_t* t = call.in[2].data<int64_t>();
  const int64_t rows = call.in[1].size(0), classes = call.in[1].size(1);
  const int64_t counted = counted_rows(call.in[2], classes, a.ignore_index);
  std::vector<double> dx(x.size());
  for (int64_t n = 0; n < rows; ++n) {
    if (t[n] == a.ignore_index) continue;
    double scale = g[a.reduction == Reduction::None ? static_cast<size_t>(n) : 0];
    if (a.reduction == Reduction::Mean) scale /= static_cast<double>(counted);
    for (int64_t c = 0; c < classes; ++c) {
      const auto i = static_cast<size_t>(n * classes + c);
      dx[i] = scale * (std::exp(x[i] - lse[static_cast<size_t>(n)]) -
                       (c == t[n] ? 1 - a.label_smoothing : 0) -
                       a.label_smoothing / static_cast<double>(classes));
    }
  }
  fill(call.out[0], dx);
}

double pair_value(const PairLoss::Attrs& a, double x, double t) {
  const double d = std::abs(x - t);
  switch (a.kind) {
    case LossKind::Squared:
      return d * d;
    case LossKind::Absolute:
      return d;
    case LossKind::SmoothAbs:
      return d < a.beta ? d * d / (2 * a.beta) : d - a.beta / 2;
    case LossKind::BceLogits:
      break;
  }
  return std::fmax(x, 0) - x * t + std::log1p(std::exp(-std::abs(x)));
}
double pair_slope(const PairLoss::Attrs& a, double x, double t) {
  const double d = x - t, sign = d > 0 ? 1 : d < 0 ? -1 : 0;
  switch (a.kind) {
    case LossKind::Squared:
      return 2 * d;
    case LossKind::Absolute:
      return sign;
    case LossKind::SmoothAbs:
      return std::abs(d) < a.beta ? d / a.beta : sign;
    case LossKind::BceLogits:
      break;
  }
  return 1 / (1 + std::exp(-x)) - t;
}

void pair_loss_ref(const KernelCall& call) {
  const auto& a = call.get<PairLoss::Attrs>();
  const Tensor& x = call.in[0];
  const auto xs = doubles(x), ts = doubles(call.in[1]);
  const auto w = call.in[2].defined() ? doubles(call.in[2]) : std::vector<double>();
  const size_t row = xs.empty() || w.empty() ? 1 : xs.size() / w.size();
  std::vector<double> loss(xs.size());
  double sum = 0;
  for (size_t i = 0; i < xs.size(); ++i)
    sum += loss[i] = pair_value(a, xs[i], ts[i]) * (w.empty() ? 1 : w[i / row]);
  if (a.reduction == Reduction::Mean) sum /= static_cast<double>(xs.size());
  fill(call.out[0], a.reduction == Reduction::None ? loss : std::vector<double>{sum});
}

void pair_loss_backward_ref(const KernelCall& call) {
  const auto& a = call.get<PairLoss::Attrs>();
  const auto g = doubles(call.in[0]), xs = doubles(call.in[1]), ts = doubles(call.in[2]);
  const auto w = call.in[3].defined() ? doubles(call.in[3]) : std::vector<double>();
  const size_t row = xs.empty() || w.empty() ? 1 : xs.size() / w.size();
  std::vector<double> dx(xs.size()), dt(xs.size());
  for (size_t i = 0; i < xs.size(); ++i) {
    double scale = g[a.reduction == Reduction::None ? i : 0] * (w.empty() ? 1 : w[i / row]);
    if (a.reduction == Reduction::Mean) scale /= static_cast<double>(xs.size());
    dx[i] = scale * pair_slope(a, xs[i], ts[i]);
    dt[i] = a.kind == LossKind::BceLogits ? -scale * xs[i] : -dx[i];
  }
  fill(call.out[0], dx);
  fill(call.out[1], dt);
}

TENON_REGISTER_KERNEL(CrossEntropy, {.name = "ref", .run = cross_entropy_ref});
TENON_REGISTER_KERNEL(CrossEntropyBackward, {.name = "ref", .run = cross_entropy_backward_ref});
TENON_REGISTER_KERNEL(PairLoss, {.name = "ref", .run = pair_loss_ref});
TENON_REGISTER_KERNEL(PairLossBackward, {.name = "ref", .run = pair_loss_backward_ref});

void check_pair(const PairLoss::Attrs& a, const Tensor& x, const Tensor& target,
                const Tensor& weight, const char* op) {
  check_float(x, op);
  check_same_sizes(x, target, op);
  check(target.dtype() == x.dtype(), ErrorKind::Usage, "{}: target {} for {}", op,
        target.describe(), x.describe());
  check(!weight.defined() || (x.rank() > 0 && weight.rank() == 1 && weight.size(0) == x.size(0) &&
                              weight.dtype() == x.dtype()),
        ErrorKind::Usage, "{}: weight {} for {}, want one number per leading index", op,
        weight.defined() ? weight.describe() : "", x.describe());
  check(a.beta > 0, ErrorKind::Usage, "{}: beta {}, want more than 0", op, a.beta);
}

}  // namespace

Metas CrossEntropy::infer(const Attrs& a, Inputs in) {
  check_cross_entropy(a, in[0], in[1], traits.name);
  const Dims rows{in[0].size(0)};
  const DType dtype = wide(in[0].dtype());
  return {{a.reduction == Reduction::None ? rows : Dims{}, dtype, {}}, {rows, dtype, {}}};
}
TensorVec CrossEntropy::backward(const Attrs& a, const BackwardArgs& g) {
  return {apply<CrossEntropyBackward>(a, {g.grad(), g.input(0), g.input(1), g.output(1)})[0],
          Tensor()};
}
std::vector<Sample> CrossEntropy::samples() {
  return {
      {"mean", {floats({6, 37}), ints({6}, 0, 36)}, make_attrs(Attrs{})},
      {"sum", {floats({4, 3}, -4, 4), ints({4}, 0, 2)}, make_attrs(Attrs{-100, Reduction::Sum})},
      {"none", {floats({5, 10}), ints({5}, 0, 9)}, make_attrs(Attrs{-100, Reduction::None})},
      {"ignore", {floats({9, 4}), ints({9}, 0, 3)}, make_attrs(Attrs{2, Reduction::Mean})},
      {"smooth", {floats({5, 7}), ints({5}, 0, 6)}, make_attrs(Attrs{1, Reduction::Mean, 0.1})},
      {"all ignored", {floats({3, 4}), ints({3}, 1, 1)}, make_attrs(Attrs{1})},
      {"empty", {floats({0, 4}), ints({0}, 0, 3)}, make_attrs(Attrs{})},
      {"too large", {floats({3, 4}), ints({3}, 4, 4)}, make_attrs(Attrs{}), 0, true},
      {"negative", {floats({3, 4}), ints({3}, -1, -1)}, make_attrs(Attrs{}), 0, true},
      {"rank", {floats({3}), ints({3}, 0, 1)}, make_attrs(Attrs{}), 0, true},
      {"rows", {floats({3, 2}), ints({2}, 0, 1)}, make_attrs(Attrs{}), 0, true}};
}

Metas CrossEntropyBackward::infer(const Attrs& a, Inputs in) {
  check_cross_entropy(a, in[1], in[2], traits.name);
  check(in[3].sizes() == in[2].sizes(), ErrorKind::Usage, "{}: log-sums {} for {}", traits.name,
        in[3].describe(), in[1].describe());
  check(in[0].sizes() == (a.reduction == Reduction::None ? in[2].sizes() : Dims{}),
        ErrorKind::Usage, "{}: gradient {} for {}", traits.name, in[0].describe(),
        in[1].describe());
  check(in[0].dtype() == in[3].dtype() && is_float(in[0].dtype()), ErrorKind::Usage,
        "{}: gradient {} with log-sums {}", traits.name, in[0].describe(), in[3].describe());
  return {{in[1].sizes(), in[1].dtype(), {}}};
}
std::vector<Sample> CrossEntropyBackward::samples() {
  return {{"mean",
           {floats({}), floats({6, 19}), ints({6}, 0, 18), floats({6}, 2, 3)},
           make_attrs(Attrs{3, Reduction::Mean, 0.2})},
          {"none",
           {floats({4}), floats({4, 3}), ints({4}, 0, 2), floats({4}, 2, 3)},
           make_attrs(Attrs{-100, Reduction::None})},
          {"grad shape",
           {floats({4}), floats({4, 3}), ints({4}, 0, 2), floats({4}, 2, 3)},
           make_attrs(Attrs{}),
           0,
           true}};
}

Metas PairLoss::infer(const Attrs& a, Inputs in) {
  check_pair(a, in[0], in[1], in[2], traits.name);
  if (a.reduction == Reduction::None) return {like(in[0])};
  return {{{}, wide(in[0].dtype()), {}}};
}
TensorVec PairLoss::backward(const Attrs& a, const BackwardArgs& g) {
  if (g.needs(2))
    throw_hint(ErrorKind::Usage, "detach() it, or multiply the loss with reduction None",
               "pair_loss: the weight has no gradient");
  const TensorVec d = apply<PairLossBackward>(a, {g.grad(), g.input(0), g.input(1), g.input(2)});
  return {d[0], d[1], Tensor()};
}
std::vector<Sample> PairLoss::samples() {
  InputSpec weight = floats({3}, 0.5, 2);
  weight.differentiable = false;
  InputSpec x = floats({3, 7}), t = floats({3, 7});
  x.apart = t.apart = 0.1;  // kinks lie at x = t: keep x - t away from 0
  t.finish = [](std::vector<double>& v) {
    for (double& y : v) y += 0.05;
  };
  const auto make = [](LossKind kind, Reduction r, double beta = 1) {
    return make_attrs(Attrs{kind, r, beta});
  };
  using K = LossKind;
  return {
      {"squared mean",
       {floats({3, 37}), floats({3, 37}), none()},
       make(K::Squared, Reduction::Mean)},
      {"squared weighted",
       {floats({3, 2, 5, 2}), floats({3, 2, 5, 2}), weight},
       make(K::Squared, Reduction::Sum)},
      {"squared none",
       {floats({3, 2, 3, 4}), floats({3, 2, 3, 4}), weight},
       make(K::Squared, Reduction::None)},
      {"absolute", {x, t, weight}, make(K::Absolute, Reduction::Sum)},
      {"smooth", {x, t, none()}, make(K::SmoothAbs, Reduction::Mean, 0.37)},
      {"bce",
       {floats({3, 7}, -4, 4), floats({3, 7}, 0, 1), weight},
       make(K::BceLogits, Reduction::Mean)},
      {"bce none",
       {floats({19}, -4, 4), floats({19}, 0, 1), none()},
       make(K::BceLogits, Reduction::None)},
      {"scalar", {floats({}), floats({}), none()}, make(K::Squared, Reduction::Mean)},
      {"empty", {floats({0, 3}), floats({0, 3}), none()}, make(K::Squared, Reduction::Sum)},
      {"long", {floats({1, 9001}), floats({1, 9001}), none()}, make(K::Squared, Reduction::Mean)},
      {"shapes", {floats({3}), floats({4}), none()}, make(K::Squared, Reduction::Sum), 0, true},
      {"weights",
       {floats({2, 3}), floats({2, 3}), weight},
       make(K::Squared, Reduction::Sum),
       0,
       true}};
}

Metas PairLossBackward::infer(const Attrs& a, Inputs in) {
  check_pair(a, in[1], in[2], in[3], traits.name);
  check(is_float(in[0].dtype()) &&
            in[0].sizes() == (a.reduction == Reduction::None ? in[1].sizes() : Dims{}),
        ErrorKind::Usage, "{}: gradient {} for {}", traits.name, in[0].describe(),
        in[1].describe());
  return {like(in[1]), like(in[1])};
}
std::vector<Sample> PairLossBackward::samples() {
  std::vector<Sample> out;
  for (Sample s : PairLoss::samples()) {
    const auto& a = *static_cast<const Attrs*>(s.attrs.get());
    InputSpec g = floats(a.reduction == Reduction::None ? s.inputs[0].shape : Dims{});
    s.inputs.insert(s.inputs.begin(), g);
    out.push_back(std::move(s));
  }
  return out;
}

Tensor cross_entropy(const Tensor& logits, const Tensor& target, CrossEntropy::Attrs options) {
  return apply<CrossEntropy>(options, {logits, target})[0];
}
Tensor mse_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  return apply<PairLoss>({LossKind::Squared, reduction}, {x, target, Tensor()})[0];
}
Tensor l1_loss(const Tensor& x, const Tensor& target, Reduction reduction) {
  return apply<PairLoss>({LossKind::Absolute, reduction}, {x, target, Tensor()})[0];
}
Tensor smooth_l1(const Tensor& x, const Tensor& target, double beta, Reduction reduction) {
  return apply<PairLoss>({LossKind::SmoothAbs, reduction, beta}, {x, target, Tensor()})[0];
}
Tensor bce_with_logits(const Tensor& x, const Tensor& target, Reduction reduction) {
  return apply<PairLoss>({LossKind::BceLogits, reduction}, {x, target, Tensor()})[0];
}
Tensor weighted_mse(const Tensor& x, const Tensor& target, const Tensor& weight,
                    Reduction reduction) {
  return apply<PairLoss>({LossKind::Squared, reduction}, {x, target, weight})[0];
}

}  // namespace tenon
