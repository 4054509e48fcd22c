#include "ops/reduce/softmax.h"

#include <cmath>

#include "autograd/variable.h"
#include "ops/ops.h"
#include "ops/registry/plain.h"

namespace tenon {

TENON_REGISTER_OP(Softmax);
TENON_REGISTER_OP(LogSoftmax);
TENON_REGISTER_OP(SoftmaxBackward);
TENON_REGISTER_OP(LogSoftmaxBackward);
TENON_REGISTER_OP(LogSumExp);

namespace {

template <class Attrs>
std::vector<Sample> axis_samples(int inputs) {
  std::vector<Sample> out;
  const auto add = [&](const char* name, Dims shape, int64_t dim, bool refused = false) {
    Sample s{name, {}, make_attrs(Attrs{dim}), 0, refused};
    for (int i = 0; i < inputs; ++i) s.inputs.push_back(floats(shape, -3, 3));
    out.push_back(std::move(s));
  };
  add("rows", {5, 37}, 1);
  add("short rows", {7, 3}, 1);
  add("middle", {2, 5, 19}, 1);
  add("first", {4, 3}, 0);
  add("one", {3, 1}, 1);
  add("image", {2, 5, 3, 4}, 1);
  add("empty", {0, 4}, 1);
  add("outside", {3, 4}, 2, true);
  return out;
}

// y[...] of lines along an axis: f(line, step) for each of them.
template <class F>
void each_line(const Dims& sizes, int64_t dim, const F& f) {
  const Around a(sizes, dim);
  for (int64_t o = 0; o < a.outer; ++o)
    for (int64_t i = 0; i < a.inner; ++i) f(o * a.n * a.inner + i, a.n, a.inner);
}

double line_logsumexp(const double* x, int64_t n, int64_t step) {
  double top = -INFINITY, sum = 0;
  for (int64_t k = 0; k < n; ++k) top = std::fmax(top, x[k * step]);
  const double shift = std::isfinite(top) ? top : 0;
  for (int64_t k = 0; k < n; ++k) sum += std::exp(x[k * step] - shift);
  return shift + std::log(sum);
}

template <bool Log>
void softmax_ref(const KernelCall& call) {
  const auto x = doubles(call.in[0]);
  std::vector<double> y(x.size());
  each_line(call.in[0].sizes(), call.get<Softmax::Attrs>().dim,
            [&](int64_t at, int64_t n, int64_t step) {
              const double lse = line_logsumexp(x.data() + at, n, step);
              for (int64_t k = 0; k < n; ++k) {
                const auto i = static_cast<size_t>(at + k * step);
                y[i] = Log ? x[i] - lse : std::exp(x[i] - lse);
              }
            });
  fill(call.out[0], y);
}

template <bool Log>
void softmax_backward_ref(const KernelCall& call) {
  const auto g = doubles(call.in[0]), y = doubles(call.in[1]);
  std::vector<double> dx(y.size());
  each_line(call.in[0].sizes(), call.get<Softmax::Attrs>().dim,
            [&](int64_t at, int64_t n, int64_t step) {
              double sum = 0;
              for (int64_t k = 0; k < n; ++k) {
                const auto i = static_cast<size_t>(at + k * step);
                sum += Log ? g[i] : g[i] * y[i];
              }
              for (int64_t k = 0; k < n; ++k) {
                const auto i = static_cast<size_t>(at + k * step);
                dx[i] = Log ? g[i] - std::exp(y[i]) * sum : y[i] * (g[i] - sum);
              }
            });
  fill(call.out[0], dx);
}

void logsumexp_ref(const KernelCall& call) {
  const auto x = doubles(call.in[0]);
  std::vector<double> y;
  each_line(call.in[0].sizes(), call.get<LogSumExp::Attrs>().dim,
            [&](int64_t at, int64_t n, int64_t step) {
              y.push_back(line_logsumexp(x.data() + at, n, step));
            });
  fill(call.out[0], y);
}

TENON_REGISTER_KERNEL(Softmax, {.name = "ref", .run = softmax_ref<false>});
TENON_REGISTER_KERNEL(LogSoftmax, {.name = "ref", .run = softmax_ref<true>});
TENON_REGISTER_KERNEL(SoftmaxBackward, {.name = "ref", .run = softmax_backward_ref<false>});
TENON_REGISTER_KERNEL(LogSoftmaxBackward, {.name = "ref", .run = softmax_backward_ref<true>});
TENON_REGISTER_KERNEL(LogSumExp, {.name = "ref", .run = logsumexp_ref});

}  // namespace

template <bool Log>
Metas SoftmaxOp<Log>::infer(const Attrs& a, Inputs in) {
  check_dim(a.dim, in[0], traits.name);
  check_float(in[0], traits.name);
  return {{in[0].sizes(), in[0].dtype(), {}}};
}
template <bool Log>
TensorVec SoftmaxOp<Log>::backward(const Attrs& a, const BackwardArgs& args) {
  const Tensor &g = args.grad(), &y = args.output(0);
  if (grad_enabled()) {  // made of ops, to be differentiated again
    if constexpr (Log)
      return {sub(g, mul(exp(y), sum(g, {a.dim}, true)))};
    else
      return {mul(y, sub(g, sum(mul(g, y), {a.dim}, true)))};
  }
  return {apply<SoftmaxBackwardOp<Log>>(a, {g, y})[0]};
}
template <bool Log>
std::vector<Sample> SoftmaxOp<Log>::samples() {
  return axis_samples<Attrs>(1);
}

template <bool Log>
Metas SoftmaxBackwardOp<Log>::infer(const Attrs& a, Inputs in) {
  check_dim(a.dim, in[1], traits.name);
  check_float(in[1], traits.name);
  check_same_sizes(in[0], in[1], traits.name);
  return {{in[1].sizes(), in[1].dtype(), {}}};
}
template <bool Log>
std::vector<Sample> SoftmaxBackwardOp<Log>::samples() {
  std::vector<Sample> out = axis_samples<Attrs>(2);
  Sample bad = out[0];
  bad.name = "shapes differ";
  bad.inputs[0].shape = {5, 36};
  bad.refused = true;
  out.push_back(bad);
  return out;
}

Metas LogSumExp::infer(const Attrs& a, Inputs in) {
  check_dim(a.dim, in[0], traits.name);
  check_float(in[0], traits.name);
  return {{reduced_shape(in[0].sizes(), {a.dim}, false), in[0].dtype(), {}}};
}
TensorVec LogSumExp::backward(const Attrs& a, const BackwardArgs& g) {
  const Tensor y = unsqueeze(g.output(0), a.dim);
  return {mul(unsqueeze(g.grad(), a.dim), exp(sub(g.input(0), y)))};
}
std::vector<Sample> LogSumExp::samples() {
  return axis_samples<Attrs>(1);
}

Tensor softmax(const Tensor& x, int64_t dim) {
  return apply<Softmax>({wrap_dim(dim, x.rank(), "softmax")}, {x})[0];
}
Tensor log_softmax(const Tensor& x, int64_t dim) {
  return apply<LogSoftmax>({wrap_dim(dim, x.rank(), "log_softmax")}, {x})[0];
}
Tensor logsumexp(const Tensor& x, int64_t dim, bool keepdim) {
  dim = wrap_dim(dim, x.rank(), "logsumexp");
  const Tensor y = apply<LogSumExp>({dim}, {x})[0];
  return keepdim ? unsqueeze(y, dim) : y;
}

}  // namespace tenon
