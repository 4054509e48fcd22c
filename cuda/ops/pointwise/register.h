// Included by the generated file that compiles the pointwise ops (ops/pointwise/fn/*.h) as kernels:
// gives TENON_REGISTER_UNARY and TENON_REGISTER_BINARY the meaning "a cuda implementation of the op
// of that name, and of its backward".
#pragma once

#define TENON_REGISTER_UNARY(Struct, fn)                           \
  namespace TENON_TARGET {                                         \
  [[maybe_unused]] static const bool registered_##fn =             \
      ::tenon::cuda::register_unary<Struct>(#fn, #fn "_backward"); \
  }
#define TENON_REGISTER_BINARY(Struct, fn)              \
  namespace TENON_TARGET {                             \
  [[maybe_unused]] static const bool registered_##fn = \
      ::tenon::cuda::register_binary<Struct>(#fn);     \
  }

#include <array>

#include "cuda/ops/pointwise/pointwise.h"
#include "ops/pointwise/binary.h"
#include "ops/pointwise/call.h"
#include "ops/pointwise/unary.h"
#include "ops/pointwise/walk.h"

namespace tenon::cuda {

template <class F>
struct UnaryCall {
  ScalarArgs args;
  template <class V>
  TENON_HD V operator()(V x) const {
    return TENON_TARGET::call_value<F>(x, args);
  }
};
template <class F>
struct UnaryBackwardCall {
  ScalarArgs args;
  template <class V>
  TENON_HD V operator()(V g, V saved) const {
    return g * TENON_TARGET::call_derivative<F>(saved, args);
  }
};
template <class F>
struct BinaryCall {
  template <class V>
  TENON_HD auto operator()(V a, V b) const {
    return F::value(a, b);
  }
};

template <int N>
Walk<N + 1> walk_of(const KernelCall& call) {
  std::array<Dims, N + 1> strides;
  strides[0] = call.out[0].strides();
  for (size_t k = 0; k < N; ++k)
    strides[k + 1] = broadcast_strides(call.in[k], call.out[0].sizes());
  return Walk<N + 1>(call.out[0].sizes(), strides);
}

template <int N>
const char* too_many_axes(const KernelCall& call) {
  return walk_of<N>(call).sizes.size() < kPointwiseMaxRank ? nullptr : "more than 8 strided axes";
}

template <class Out, class T, int N, class F>
void run_pointwise(const KernelCall& call, F f) {
  const Walk<N + 1> walk = walk_of<N>(call);
  PointwiseShape shape;
  shape.rank = static_cast<int>(walk.sizes.size()) + 1;
  for (size_t d = 0; d < walk.sizes.size(); ++d) {
    shape.sizes[d] = walk.sizes[d];
    for (size_t k = 0; k <= N; ++k) shape.strides[k][d] = walk.strides[k][d];
  }
  shape.sizes[shape.rank - 1] = walk.inner;
  for (size_t k = 0; k <= N; ++k) shape.strides[k][shape.rank - 1] = walk.inner_stride[k];
  InputPointers<T, N> x;
  for (size_t k = 0; k < N; ++k) x.p[k] = call.in[k].data<T>();
  launch_pointwise<F, Out, T, N>(f, call.out[0].data<Out>(), x, shape, nullptr);
}

template <class F>
void run_unary(const KernelCall& call) {
  visit_float(call.in[0].dtype(), "cuda kernel", [&](auto tag) {
    using T = typename decltype(tag)::type;
    run_pointwise<T, T, 1>(call, UnaryCall<F>{call.get<ScalarArgs>()});
  });
}
template <class F>
void run_unary_backward(const KernelCall& call) {
  visit_float(call.in[0].dtype(), "cuda kernel", [&](auto tag) {
    using T = typename decltype(tag)::type;
    run_pointwise<T, T, 2>(call, UnaryBackwardCall<F>{call.get<ScalarArgs>()});
  });
}
template <class F>
void run_binary(const KernelCall& call) {
  constexpr bool compares = requires {
    requires F::compares;
  };
  constexpr bool ints = requires {
    requires F::ints;
  };
  visit_all(call.in[0].dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    using Out = std::conditional_t<compares, bool, T>;
    if constexpr (is_float(dtype_of<T>) || (ints && !std::is_same_v<T, bool>))
      run_pointwise<Out, T, 2>(call, BinaryCall<F>{});
  });
}

inline void add_kernel(const char* op, const char* (*accepts)(const KernelCall&),
                       void (*run)(const KernelCall&)) {
  ::tenon::detail::add_implementation(op, {.name = "cuda",
                                           .device = DeviceKind::CUDA,
                                           .rank = kRankCuda,
                                           .accepts = accepts,
                                           .run = run});
}

template <class F>
bool register_unary(const char* op, const char* backward) {
  add_kernel(op, too_many_axes<1>, run_unary<F>);
  add_kernel(backward, too_many_axes<2>, run_unary_backward<F>);
  return true;
}
template <class F>
bool register_binary(const char* op) {
  add_kernel(op, too_many_axes<2>, run_binary<F>);
  return true;
}

}  // namespace tenon::cuda
