// One kernel for all pointwise ops: y[i] = f(a[i]) or f(a[i], b[i]), any strides, broadcasting.
// Contiguous operands take a path of 128-bit accesses. Device code: include from a .cu file.
#pragma once

#include "cuda/kit/launch.h"
#include "cuda/kit/vec128.h"
#include "cuda/ops/pointwise/shape.h"

namespace tenon::cuda {

// What f computes in: half types in float, others in themselves.
template <class T>
struct ComputeOf {
  using type = T;
};
template <>
struct ComputeOf<bf16> {
  using type = float;
};
template <>
struct ComputeOf<f16> {
  using type = float;
};
template <class T>
using Compute = typename ComputeOf<T>::type;

template <class T, int N>
struct InputPointers {
  const T* p[N];
};

template <class Out, class F, class T, int N>
TENON_DEVICE Out call_pointwise(const F& f, const T (&x)[N]) {
  static_assert(N == 1 || N == 2);
  using C = Compute<T>;
  if constexpr (N == 1)
    return Out(f(C(x[0])));
  else
    return Out(f(C(x[0]), C(x[1])));
}

template <class F, class Out, class T, int N>
TENON_KERNEL pointwise_contiguous(F f, Out* y, InputPointers<T, N> x, int64_t n) {
  constexpr int width = 16 / static_cast<int>(sizeof(T) > sizeof(Out) ? sizeof(T) : sizeof(Out));
  const int64_t packs = n / width;
  for (int64_t i = kit::grid_thread_index(); i < packs; i += kit::grid_threads()) {
    kit::Pack<T, width> in[N];
    TENON_UNROLL
    for (int k = 0; k < N; ++k) in[k] = kit::load_pack<width>(x.p[k] + i * width);
    kit::Pack<Out, width> out;
    TENON_UNROLL
    for (int j = 0; j < width; ++j) {
      T element[N];
      TENON_UNROLL
      for (int k = 0; k < N; ++k) element[k] = in[k].v[j];
      out.v[j] = call_pointwise<Out>(f, element);
    }
    kit::store_pack(y + i * width, out);
  }
  for (int64_t i = packs * width + kit::grid_thread_index(); i < n; i += kit::grid_threads()) {
    T element[N];
    TENON_UNROLL
    for (int k = 0; k < N; ++k) element[k] = x.p[k][i];
    y[i] = call_pointwise<Out>(f, element);
  }
}

// 64-bit division takes several times as long as 32-bit, and few tensors need it.
TENON_DEVICE int64_t split_index(int64_t& rest, int64_t size) {
  int64_t index;
  if (((rest | size) >> 32) == 0) {
    index = static_cast<uint32_t>(rest) % static_cast<uint32_t>(size);
    rest = static_cast<uint32_t>(rest) / static_cast<uint32_t>(size);
  } else {
    index = rest % size;
    rest /= size;
  }
  return index;
}

template <class F, class Out, class T, int N>
TENON_KERNEL pointwise_strided(F f, Out* y, InputPointers<T, N> x, PointwiseShape shape,
                               int64_t n) {
  for (int64_t i = kit::grid_thread_index(); i < n; i += kit::grid_threads()) {
    int64_t rest = i;
    int64_t at[N + 1] = {};
    for (int d = shape.rank - 1; d >= 0; --d) {
      const int64_t index = split_index(rest, shape.sizes[d]);
      TENON_UNROLL
      for (int k = 0; k <= N; ++k) at[k] += index * shape.strides[k][d];
    }
    T element[N];
    TENON_UNROLL
    for (int k = 0; k < N; ++k) element[k] = x.p[k][at[k + 1]];
    y[at[0]] = call_pointwise<Out>(f, element);
  }
}

// Runs f over `shape`. y and x[k] point at element 0 of each operand. Empty shapes are fine.
// F: trivially copyable, with a TENON_HD operator() on one or two Compute<T> values.
template <class F, class Out, class T, int N>
void launch_pointwise(F f, Out* y, const InputPointers<T, N>& x, const PointwiseShape& shape,
                      StreamHandle stream) {
  constexpr int threads = 256;
  int64_t n = 1;
  bool contiguous = true;
  for (int d = shape.rank - 1; d >= 0; --d) {
    for (int k = 0; k <= N; ++k) contiguous &= shape.sizes[d] == 1 || shape.strides[k][d] == n;
    n *= shape.sizes[d];
  }
  if (n == 0) return;
  contiguous &= kit::is_aligned(y, 16);
  for (int k = 0; k < N; ++k) contiguous &= kit::is_aligned(x.p[k], 16);
  if (contiguous) {
    constexpr int64_t per_block = threads * 16 / int64_t{sizeof(T)};
    launch<pointwise_contiguous<F, Out, T, N>>({kit::blocks_for(n, per_block)}, threads, 0, stream,
                                               f, y, x, n);
  } else {
    launch<pointwise_strided<F, Out, T, N>>({kit::blocks_for(n, threads)}, threads, 0, stream, f, y,
                                            x, shape, n);
  }
}

}  // namespace tenon::cuda
