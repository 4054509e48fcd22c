#include <cmath>

#include "core/simd/math.h"
#include "core/simd/parallel.h"
#include "ops/optim/optim.h"
#include "ops/registry/cpu.h"

namespace tenon::TENON_TARGET {
namespace {

constexpr int64_t kGrain = 16384;  // elements a thread takes at least

template <class V>
TENON_INLINE V clean_gradient(V g, double scale, bool replace) {
  g = g * V(scale);
  if (!replace) return g;
  g = select(g == g, g, V(0));
  const auto finite = (g - g) == V(0);
  return select(finite, g, select(g > V(0), V(1e5), V(-1e5)));
}

// beta = 0 copies, whatever ema held.
template <class V>
TENON_INLINE V ema_value(const V& ema, const V& param, double beta) {
  return beta == 0 ? param : fma(ema, V(beta), param * V(1 - beta));
}

struct AdamCoefficients {
  double decay, keep, step_size, v_scale;
  explicit AdamCoefficients(const AdamAttrs& a)
      : decay(a.decoupled ? 0 : a.weight_decay),
        keep(a.decoupled ? 1 - a.lr * a.weight_decay : 1),
        step_size(a.lr / (1 - std::pow(a.beta1, static_cast<double>(a.step)))),
        v_scale(1 / std::sqrt(1 - std::pow(a.beta2, static_cast<double>(a.step)))) {}
};

template <class V>
TENON_INLINE void adam_element(const AdamAttrs& a, const AdamCoefficients& c, V& param,
                               const V& grad, V& m, V& v) {
  V g = clean_gradient(grad, a.grad_scale, a.replace_nonfinite);
  g = fma(param, V(c.decay), g);
  m = fma(g - m, V(1 - a.beta1), m);
  v = fma(v, V(a.beta2), g * g * V(1 - a.beta2));
  param = param * V(c.keep) - V(c.step_size) * m / fma(sqrt(v), V(c.v_scale), V(a.eps));
}

// `velocity` is read and written only with momentum.
template <class V>
TENON_INLINE void sgd_element(const SgdAttrs& a, V& param, const V& grad, V& velocity) {
  V g = clean_gradient(grad, a.grad_scale, a.replace_nonfinite);
  g = fma(param, V(a.weight_decay), g);
  if (a.momentum != 0) {
    velocity = fma(velocity, V(a.momentum), g);
    g = a.nesterov ? fma(velocity, V(a.momentum), g) : velocity;
  }
  param = fma(g, V(-a.lr), param);
}

template <class F>
void visit_wide(const Tensor& t, F&& f) {
  if (t.dtype() == DType::f64)
    f(TypeTag<double>{});
  else
    f(TypeTag<float>{});
}

// body(i, n) for the vectors of n <= V::size elements from i on.
template <class T, class Body>
void each_vector(int64_t size, const Body& body) {
  constexpr int64_t W = vec_for<T>::size;
  parallel_for(size, kGrain, [&](int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + W <= end; i += W) body(i, W);
    if (i < end) body(i, end - i);
  });
}

void adam_cpu(const KernelCall& call) {
  const auto& a = call.get<AdamAttrs>();
  const AdamCoefficients c(a);
  visit_wide(call.in[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    T *p = call.in[0].data<T>(), *m = call.in[2].data<T>(), *v = call.in[3].data<T>();
    const T* g = call.in[1].data<T>();
    T* ema = call.in[4].defined() ? call.in[4].data<T>() : nullptr;
    each_vector<T>(
        call.in[0].numel(), [&](int64_t i, int64_t n) __attribute__((always_inline)) {
          auto vp = load(p + i, n), vm = load(m + i, n), vv = load(v + i, n);
          adam_element(a, c, vp, load(g + i, n), vm, vv);
          store(vp, p + i, n);
          store(vm, m + i, n);
          store(vv, v + i, n);
          if (ema)
            store(ema_value(a.ema_beta == 0 ? vp : load(ema + i, n), vp, a.ema_beta), ema + i, n);
        });
  });
}
TENON_REGISTER_CPU(AdamStep, adam_cpu, nullptr);

void sgd_cpu(const KernelCall& call) {
  const auto& a = call.get<SgdAttrs>();
  visit_wide(call.in[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* p = call.in[0].data<T>();
    const T* g = call.in[1].data<T>();
    T* velocity = a.momentum != 0 ? call.in[2].data<T>() : nullptr;
    each_vector<T>(
        call.in[0].numel(), [&](int64_t i, int64_t n) __attribute__((always_inline)) {
          auto vp = load(p + i, n);
          vec_for<T> speed(0);
          if (velocity) speed = load(velocity + i, n);
          sgd_element(a, vp, load(g + i, n), speed);
          store(vp, p + i, n);
          if (velocity) store(speed, velocity + i, n);
        });
  });
}
TENON_REGISTER_CPU(SgdStep, sgd_cpu, nullptr);

void ema_cpu(const KernelCall& call) {
  const double beta = call.get<EmaStep::Attrs>().beta;
  visit_wide(call.in[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* ema = call.in[0].data<T>();
    const T* p = call.in[1].data<T>();
    each_vector<T>(
        call.in[0].numel(), [&](int64_t i, int64_t n) __attribute__((always_inline)) {
          store(ema_value(load(ema + i, n), load(p + i, n), beta), ema + i, n);
        });
  });
}
TENON_REGISTER_CPU(EmaStep, ema_cpu, nullptr);

void scale_cpu(const KernelCall& call) {
  visit_wide(call.in[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    const vec_for<T> factor(static_cast<T>(call.get<ScaleInPlace::Attrs>().factor));
    T* x = call.in[0].data<T>();
    each_vector<T>(
        call.in[0].numel(), [&](int64_t i, int64_t n) __attribute__((always_inline)) {
          store(load(x + i, n) * factor, x + i, n);
        });
  });
}
TENON_REGISTER_CPU(ScaleInPlace, scale_cpu, nullptr);

TENON_INLINE f64x8 widen(const double* p) {
  return load(p);
}
TENON_INLINE f64x8 widen(const float* p) {
  f64x8 r;
  for (int i = 0; i < f64x8::parts; ++i) {
    typedef float Half __attribute__((vector_size(kRegisterBytes / 2)));
    Half half;
    memcpy(&half, p + i * f64x8::lanes, sizeof(half));
    r.part[i] = __builtin_convertvector(half, f64x8::Native);
  }
  return r;
}

void sum_of_squares_cpu(const KernelCall& call) {
  const Tensor& x = call.in[0];
  visit_wide(x, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* p = x.data<T>();
    *call.out[0].data<double>() = parallel_reduce_chunks(
        x.numel(), 65536, 0.0,
        [&](int64_t begin, int64_t end) {
          f64x8 even(0), odd(0);  // two sums hide the latency of an addition
          int64_t i = begin;
          for (; i + 16 <= end; i += 16) {
            const f64x8 a = widen(p + i), b = widen(p + i + 8);
            even = fma(a, a, even);
            odd = fma(b, b, odd);
          }
          double sum = horizontal_sum(even + odd);
          for (; i < end; ++i) sum += static_cast<double>(p[i]) * static_cast<double>(p[i]);
          return sum;
        },
        [](double a, double b) { return a + b; });
  });
}
TENON_REGISTER_CPU(SumOfSquares, sum_of_squares_cpu, nullptr);

}  // namespace
}  // namespace tenon::TENON_TARGET
