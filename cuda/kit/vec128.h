// Loads and stores of several neighbours at once, up to 128 bits, the widest a thread can do.
#pragma once

#include "cuda/kit/device.h"

namespace tenon::kit {

// N elements that are read or written as one. sizeof(T) * N is 1, 2, 4, 8 or 16.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  static_assert(sizeof(T) * N <= 16);
  static constexpr int size = N;
  T v[N];
};
template <class T>
using Vec128 = Pack<T, 16 / static_cast<int>(sizeof(T))>;

TENON_HD inline bool is_aligned(const void* pointer, size_t bytes) {
  return reinterpret_cast<uintptr_t>(pointer) % bytes == 0;
}

// The pointer must be a multiple of the pack's size.
template <int N, class T>
TENON_DEVICE Pack<T, N> load_pack(const T* pointer) {
#if !defined(__CUDACC__)
  simt::require_aligned(pointer, sizeof(Pack<T, N>), "load_pack");
#endif
  return *reinterpret_cast<const Pack<T, N>*>(pointer);
}
template <int N, class T>
TENON_DEVICE void store_pack(T* pointer, const Pack<T, N>& value) {
#if !defined(__CUDACC__)
  simt::require_aligned(pointer, sizeof(value), "store_pack");
#endif
  *reinterpret_cast<Pack<T, N>*>(pointer) = value;
}

template <class T>
TENON_DEVICE Vec128<T> load128(const T* pointer) {
  return load_pack<Vec128<T>::size>(pointer);
}
// For data that is used once: leaves the cache to others.
template <class T>
TENON_DEVICE Vec128<T> load128_streaming(const T* pointer) {
#if defined(__CUDA_ARCH__)
  return tenon::detail::bit_cast<Vec128<T>>(__ldcs(reinterpret_cast<const int4*>(pointer)));
#else
  return load128(pointer);
#endif
}
template <class T>
TENON_DEVICE void store128(T* pointer, const Vec128<T>& value) {
  store_pack(pointer, value);
}
template <class T>
TENON_DEVICE void store128_streaming(T* pointer, const Vec128<T>& value) {
#if defined(__CUDA_ARCH__)
  __stcs(reinterpret_cast<int4*>(pointer), tenon::detail::bit_cast<int4>(value));
#else
  store128(pointer, value);
#endif
}

}  // namespace tenon::kit
