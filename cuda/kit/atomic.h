// Atomic read-modify-write on global or shared memory; each returns the old value. The order in
// which threads arrive is not fixed, so float sums made with them are not reproducible.
#pragma once

#include "cuda/kit/device.h"

#if !defined(__CUDACC__)
#include <atomic>
#endif

namespace tenon::kit {

#if defined(__CUDACC__)
template <class T>  // int, uint32_t, unsigned long long, float, double
TENON_DEVICE T atomic_add(T* address, T value) {
  return atomicAdd(address, value);
}
template <class T>  // int, uint32_t, unsigned long long
TENON_DEVICE T atomic_max(T* address, T value) {
  return atomicMax(address, value);
}
template <class T>  // int, uint32_t, unsigned long long
TENON_DEVICE T atomic_cas(T* address, T expected, T value) {
  return atomicCAS(address, expected, value);
}
#else
template <class T>
T atomic_add(T* address, T value) {
  return std::atomic_ref<T>(*address).fetch_add(value);
}
template <class T>
T atomic_cas(T* address, T expected, T value) {
  std::atomic_ref<T>(*address).compare_exchange_strong(expected, value);
  return expected;
}
template <class T>
T atomic_max(T* address, T value) {
  T old = *address;
  while (old < value && !std::atomic_ref<T>(*address).compare_exchange_weak(old, value)) {
  }
  return old;
}
#endif

}  // namespace tenon::kit
