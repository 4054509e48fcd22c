// The loops under every pointwise op, compiled once per instruction set.
//
// All elements go through the same vector code, whatever the strides or the split between threads
// (short rests are loaded into part of a vector), so results are the same bit for bit. A functor is
// compiled for float and double only: 2-byte types are widened a block at a time.
#pragma once

#include <array>

#include "core/simd/parallel.h"
#include "ops/pointwise/call.h"
#include "ops/pointwise/cast.h"
#include "ops/pointwise/contract.h"
#include "ops/registry/cpu.h"

namespace tenon::TENON_TARGET {

inline constexpr int64_t kPointwiseGrain = 16384;  // elements a thread takes at least

template <class T>
inline constexpr int64_t kLanes = vec_for<T>::size;

template <class T>
TENON_INLINE vec_for<T> load_lanes(const T* p, int64_t stride, int64_t n) {
  using V = vec_for<T>;
  if (stride == 1) return load(p, n);
  if (stride == 0) return V(static_cast<typename V::Element>(p[0]));
  T buffer[kLanes<T>] = {};
  for (int64_t i = 0; i < n; ++i) buffer[i] = p[i * stride];
  return load(buffer);
}
template <class T>
TENON_INLINE void store_lanes(const vec_for<T>& v, T* p, int64_t stride, int64_t n) {
  if (stride == 1) return store(v, p, n);
  T buffer[kLanes<T>];
  store(v, buffer);
  for (int64_t i = 0; i < n; ++i) p[i * stride] = buffer[i];
}

// One stretch of K inputs and an output, in elements of T (float or double).
template <class T, int K>
struct Stretch {
  T* y;
  int64_t ys;
  std::array<const T*, K> x;
  std::array<int64_t, K> xs;
  int64_t n;
};

// y[i] = f(x0[i], x1[i], ...).
template <class T, int K, class F>
__attribute__((noinline)) void map_stretch(const Stretch<T, K>& s, const F& f) {
  constexpr int64_t W = kLanes<T>;
  bool unit = s.ys == 1;
  for (int k = 0; k < K; ++k) unit &= s.xs[k] == 1;
  int64_t i = 0;
  if (unit)
    for (; i + W <= s.n; i += W) {
      if constexpr (K == 1)
        store(f(load(s.x[0] + i)), s.y + i);
      else
        store(f(load(s.x[0] + i), load(s.x[1] + i)), s.y + i);
    }
  for (; i < s.n; i += W) {
    const int64_t n = std::min(W, s.n - i);
    if constexpr (K == 1)
      store_lanes(f(load_lanes(s.x[0] + i * s.xs[0], s.xs[0], n)), s.y + i * s.ys, s.ys, n);
    else
      store_lanes(f(load_lanes(s.x[0] + i * s.xs[0], s.xs[0], n),
                    load_lanes(s.x[1] + i * s.xs[1], s.xs[1], n)),
                  s.y + i * s.ys, s.ys, n);
  }
}

// A stretch of a 2-byte type, through float buffers.
template <class Half, int K, class F>
void map_half_stretch(const Stretch<Half, K>& s, const F& f) {
  constexpr int64_t kBlock = 256;
  float in[K][kBlock], out[kBlock];
  for (int64_t i = 0; i < s.n; i += kBlock) {
    const int64_t n = std::min(kBlock, s.n - i);
    Stretch<float, K> wide{out, 1, {}, {}, n};
    for (int k = 0; k < K; ++k) {
      wide.x[k] = in[k];
      wide.xs[k] = s.xs[k] == 0 ? 0 : 1;
      for (int64_t j = 0; j < (s.xs[k] == 0 ? 1 : n); j += 16)
        store(load_lanes(s.x[k] + (i + j) * s.xs[k], s.xs[k], std::min<int64_t>(16, n - j)),
              in[k] + j);
    }
    map_stretch(wide, f);
    for (int64_t j = 0; j < n; j += 16)
      store_lanes(load(out + j), s.y + (i + j) * s.ys, s.ys, std::min<int64_t>(16, n - j));
  }
}

// Runs body(offsets, length) over the stretches of a walk in parallel.
template <int K, class Body>
void for_stretches(const Walk<K>& walk, const Body& body) {
  const bool flat = walk.outer == 1;
  const int64_t n = flat ? walk.inner : walk.outer;
  const int64_t grain =
      flat ? kPointwiseGrain
           : std::max<int64_t>(1, kPointwiseGrain / std::max<int64_t>(walk.inner, 1));
  parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    std::array<int64_t, K> at{};
    if (flat) {
      for (int k = 0; k < K; ++k) at[k] = begin * walk.inner_stride[k];
      body(at, end - begin);
    } else {
      walk.each(begin, end, [&](const std::array<int64_t, K>& o) { body(o, walk.inner); });
    }
  });
}

template <class T, int K, class F>
void map_tensors(Inputs in, const Tensor& out, const F& f) {
  std::array<Dims, K + 1> strides;
  strides[0] = out.strides();
  std::array<const T*, K> base;
  for (int k = 0; k < K; ++k) {
    strides[k + 1] = broadcast_strides(in[k], out.sizes());
    base[k] = in[k].data<T>();
  }
  const Walk<K + 1> walk(out.sizes(), strides);
  T* y = out.data<T>();
  for_stretches(walk, [&](const std::array<int64_t, K + 1>& at, int64_t n) {
    Stretch<T, K> s{y + at[0], walk.inner_stride[0], {}, {}, n};
    for (int k = 0; k < K; ++k) {
      s.x[k] = base[k] + at[k + 1];
      s.xs[k] = walk.inner_stride[k + 1];
    }
    if constexpr (is_half(dtype_of<T>))
      map_half_stretch(s, f);
    else
      map_stretch(s, f);
  });
}

// The reference and the integers: everything becomes S (double or int64) first, then one plain
// loop.
template <class S, class R, int K, class F>
void map_plain(Inputs in, const Tensor& out, const F& f) {
  Tensor x[K];
  for (int k = 0; k < K; ++k) {
    const Tensor wide =
        Tensor::view_of(in[k].storage(), out.sizes(), broadcast_strides(in[k], out.sizes()),
                        in[k].offset(), in[k].dtype());
    x[k] = Tensor::empty(out.sizes(), dtype_of<S>);
    copy_values(wide, x[k]);
  }
  const Tensor y = Tensor::empty(out.sizes(), dtype_of<R>);
  for (int64_t i = 0; i < out.numel(); ++i) {
    if constexpr (K == 1)
      y.data<R>()[i] = f(x[0].template data<S>()[i]);
    else
      y.data<R>()[i] = f(x[0].template data<S>()[i], x[1].template data<S>()[i]);
  }
  copy_values(y, out);
}

template <class F>
void unary_run(const KernelCall& call) {
  const auto& p = call.get<ScalarArgs>();
  const auto f = [&](auto x) __attribute__((always_inline)) {
    return call_value<F>(x, p);
  };
  visit_float(call.in[0].dtype(), F::kName, [&](auto tag) {
    map_tensors<typename decltype(tag)::type, 1>(call.in, call.out[0], f);
  });
}
template <class F>
void unary_backward_run(const KernelCall& call) {
  const auto& p = call.get<ScalarArgs>();
  const auto f = [&](auto g, auto saved) __attribute__((always_inline)) {
    return g * call_derivative<F>(saved, p);
  };
  visit_float(call.in[0].dtype(), F::kBackwardName, [&](auto tag) {
    map_tensors<typename decltype(tag)::type, 2>(call.in, call.out[0], f);
  });
}
template <class F>
void unary_ref(const KernelCall& call) {
  const auto& p = call.get<ScalarArgs>();
  map_plain<double, double, 1>(call.in, call.out[0], [&](double x) { return call_value<F>(x, p); });
}
template <class F>
void unary_backward_ref(const KernelCall& call) {
  const auto& p = call.get<ScalarArgs>();
  map_plain<double, double, 2>(call.in, call.out[0], [&](double g, double saved) {
    return g * call_derivative<F>(saved, p);
  });
}

inline const char* needs_floats(const KernelCall& call) {
  return is_float(call.in[0].dtype()) ? nullptr : "integers take the plain loop";
}

template <class F>
void binary_run(const KernelCall& call) {
  const auto f = [](auto a, auto b) __attribute__((always_inline)) {
    return F::value(a, b);
  };
  visit_float(call.in[0].dtype(), F::kName, [&](auto tag) {
    map_tensors<typename decltype(tag)::type, 2>(call.in, call.out[0], f);
  });
}
template <class F>
void binary_ref(const KernelCall& call) {
  using Op = BinaryOp<F>;
  if (is_float(call.in[0].dtype())) {
    using R = std::conditional_t<Op::kCompares, bool, double>;
    map_plain<double, R, 2>(call.in, call.out[0],
                            [](double a, double b) { return F::value(a, b); });
  } else if constexpr (Op::kInts) {
    using R = std::conditional_t<Op::kCompares, bool, int64_t>;
    map_plain<int64_t, R, 2>(call.in, call.out[0],
                             [](int64_t a, int64_t b) { return F::value(a, b); });
  }
}

template <class F>
TENON_INLINE bool register_unary() {
  using Op = UnaryOp<F>;
  using Back = UnaryBackwardOp<F>;
  add_cpu_kernel(F::kName, unary_run<F>, nullptr);
  add_cpu_kernel(F::kBackwardName, unary_backward_run<F>, nullptr);
  if constexpr (kTarget == Target::base) {
    register_op<Op>();
    register_op<Back>();
    ::tenon::detail::add_implementation(F::kName,
                                        {.name = "ref", .rank = kRankRef, .run = unary_ref<F>});
    ::tenon::detail::add_implementation(
        F::kBackwardName, {.name = "ref", .rank = kRankRef, .run = unary_backward_ref<F>});
  }
  return true;
}

template <class F>
TENON_INLINE bool register_binary() {
  using Op = BinaryOp<F>;
  if constexpr (!Op::kCompares) add_cpu_kernel(F::kName, binary_run<F>, needs_floats);
  if constexpr (kTarget == Target::base) {
    register_op<Op>();
    ::tenon::detail::add_implementation(F::kName,
                                        {.name = "ref", .rank = kRankRef, .run = binary_ref<F>});
  }
  return true;
}

}  // namespace tenon::TENON_TARGET
