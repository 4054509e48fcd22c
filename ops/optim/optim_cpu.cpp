#include <cmath>

#include "core/simd/math.h"
#include "core/simd/parallel.h"
#include "ops/optim/optim.h"
#include "ops/registry/cpu.h"

namespace tenon::TENON_TARGET {
namespace {

constexpr int64_t kGrain = 16384;  // elements a thread takes at least

template <class F>
void visit_wide(const Tensor& t, F&& f) {
  if (t.dtype() == DType::f64)
    f(TypeTag<double>{});
  else
    f(TypeTag<float>{});
}

// body(i, n) for the vectors of n <= V::size elements from i on. The body holds its numbers by
// value and is copied to the stack of the thread: otherwise each store to a buffer might change
// them, and they would be read again for each vector.
template <class T, class Body>
void each_vector(int64_t size, const Body& shared) {
  constexpr int64_t W = vec_for<T>::size;
  parallel_for(size, kGrain, [&shared](int64_t begin, int64_t end) {
    const Body body = shared;
    int64_t i = begin;
    for (; i + W <= end; i += W) body(i, W);
    if (i < end) body(i, end - i);
  });
}

template <class E>
struct Cleaner {
  E scale;
  bool replace;
  template <class V>
  TENON_INLINE V operator()(V g) const {
    g = g * V(scale);
    if (!replace) return g;
    g = select(g == g, g, V(0));
    return select((g - g) == V(0), g, select(g > V(0), V(1e5), V(-1e5)));
  }
};

enum class Average { None, Copy, Lerp };

template <class E, Average average>
struct Adam {
  E *p, *m, *v, *ema;
  const E* grad;
  Cleaner<E> clean;
  E decay, keep, beta1_rest, beta2, beta2_rest, step_size, v_scale, eps, ema_beta, ema_rest;

  TENON_INLINE void operator()(int64_t i, int64_t n) const {
    using V = vec_for<E>;
    V x = load(p + i, n);
    const V g = fma(x, V(decay), clean(load(grad + i, n)));
    const V old_m = load(m + i, n);
    const V new_m = fma(g - old_m, V(beta1_rest), old_m);
    const V new_v = fma(load(v + i, n), V(beta2), g * g * V(beta2_rest));
    x = x * V(keep) - V(step_size) * new_m / fma(sqrt(new_v), V(v_scale), V(eps));
    store(x, p + i, n);
    store(new_m, m + i, n);
    store(new_v, v + i, n);
    if constexpr (average == Average::Copy) store(x, ema + i, n);
    if constexpr (average == Average::Lerp)
      store(fma(load(ema + i, n), V(ema_beta), x * V(ema_rest)), ema + i, n);
  }
};

template <class E, Average average>
void adam_run(const KernelCall& call) {
  const auto& a = call.get<AdamAttrs>();
  const auto step = static_cast<double>(a.step);
  const auto number = [](double x) { return static_cast<E>(x); };
  each_vector<E>(call.in[0].numel(),
                 Adam<E, average>{.p = call.in[0].data<E>(),
                                  .m = call.in[2].data<E>(),
                                  .v = call.in[3].data<E>(),
                                  .ema = average == Average::None ? nullptr : call.in[4].data<E>(),
                                  .grad = call.in[1].data<E>(),
                                  .clean = {number(a.grad_scale), a.replace_nonfinite},
                                  .decay = number(a.decoupled ? 0 : a.weight_decay),
                                  .keep = number(a.decoupled ? 1 - a.lr * a.weight_decay : 1),
                                  .beta1_rest = number(1 - a.beta1),
                                  .beta2 = number(a.beta2),
                                  .beta2_rest = number(1 - a.beta2),
                                  .step_size = number(a.lr / (1 - std::pow(a.beta1, step))),
                                  .v_scale = number(1 / std::sqrt(1 - std::pow(a.beta2, step))),
                                  .eps = number(a.eps),
                                  .ema_beta = number(a.ema_beta),
                                  .ema_rest = number(1 - a.ema_beta)});
}

void adam_cpu(const KernelCall& call) {
  visit_wide(call.in[0], [&](auto tag) {
    using T = typename decltype(tag)::type;
    if (!call.in[4].defined()) return adam_run<T, Average::None>(call);
    if (call.get<AdamAttrs>().ema_beta == 0) return adam_run<T, Average::Copy>(call);
    adam_run<T, Average::Lerp>(call);
  });
}
TENON_REGISTER_CPU(AdamStep, adam_cpu, nullptr);

template <class E>
struct Sgd {
  E *p, *velocity;  // no velocity without momentum
  const E* grad;
  Cleaner<E> clean;
  E lr, momentum, decay;
  bool nesterov;

  TENON_INLINE void operator()(int64_t i, int64_t n) const {
    using V = vec_for<E>;
    const V x = load(p + i, n);
    V g = fma(x, V(decay), clean(load(grad + i, n)));
    if (velocity) {
      const V speed = fma(load(velocity + i, n), V(momentum), g);
      store(speed, velocity + i, n);
      if (nesterov)
        g = fma(speed, V(momentum), g);
      else
        g = speed;
    }
    store(fma(g, V(-lr), x), p + i, n);
  }
};

void sgd_cpu(const KernelCall& call) {
  const auto& a = call.get<SgdAttrs>();
  visit_wide(call.in[0], [&](auto tag) {
    using E = typename decltype(tag)::type;
    each_vector<E>(call.in[0].numel(),
                   Sgd<E>{.p = call.in[0].data<E>(),
                          .velocity = a.momentum != 0 ? call.in[2].data<E>() : nullptr,
                          .grad = call.in[1].data<E>(),
                          .clean = {static_cast<E>(a.grad_scale), a.replace_nonfinite},
                          .lr = static_cast<E>(a.lr),
                          .momentum = static_cast<E>(a.momentum),
                          .decay = static_cast<E>(a.weight_decay),
                          .nesterov = a.nesterov});
  });
}
TENON_REGISTER_CPU(SgdStep, sgd_cpu, nullptr);

void ema_cpu(const KernelCall& call) {
  const double beta = call.get<EmaStep::Attrs>().beta;
  visit_wide(call.in[0], [&](auto tag) {
    using E = typename decltype(tag)::type;
    using V = vec_for<E>;
    E* ema = call.in[0].data<E>();
    const E* p = call.in[1].data<E>();
    const int64_t size = call.in[0].numel();
    if (beta == 0)  // whatever the average held, NaN included
      return each_vector<E>(
          size, [=](int64_t i, int64_t n)
                    __attribute__((always_inline)) { store(load(p + i, n), ema + i, n); });
    const E keep = static_cast<E>(beta), rest = static_cast<E>(1 - beta);
    each_vector<E>(
        size, [=](int64_t i, int64_t n) __attribute__((always_inline)) {
          store(fma(load(ema + i, n), V(keep), load(p + i, n) * V(rest)), ema + i, n);
        });
  });
}
TENON_REGISTER_CPU(EmaStep, ema_cpu, nullptr);

void scale_cpu(const KernelCall& call) {
  visit_wide(call.in[0], [&](auto tag) {
    using E = typename decltype(tag)::type;
    const E factor = static_cast<E>(call.get<ScaleInPlace::Attrs>().factor);
    E* x = call.in[0].data<E>();
    each_vector<E>(
        call.in[0].numel(), [=](int64_t i, int64_t n) __attribute__((always_inline)) {
          store(load(x + i, n) * vec_for<E>(factor), x + i, n);
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
