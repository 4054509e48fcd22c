// The two numbers that a softmax over a contiguous row needs.
#pragma once

#include <cmath>

#include "core/simd/math.h"

namespace tenon::TENON_TARGET {

template <class T>
using element_of = typename vec_for<T>::Element;

// n elements from p (n < size), `rest` in the other lanes.
template <class T>
TENON_INLINE vec_for<T> load_or(const T* p, int64_t n, element_of<T> rest) {
  using V = vec_for<T>;
  using E = element_of<T>;
  alignas(64) static constexpr E lane[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return select(load(lane) < V(static_cast<E>(n)), load(p, n), V(rest));
}

// log sum exp(x) = shift + log(sum). The shift is the maximum, or 0 where that is not finite, so
// that infinities and NaN come out by themselves.
template <class E>
struct RowStats {
  E shift, sum;
  E logsumexp() const { return shift + math::log(sum); }
};

template <class T>
__attribute__((noinline)) RowStats<element_of<T>> row_stats(const T* x, int64_t n) {
  using V = vec_for<T>;
  using E = element_of<T>;
  constexpr int64_t W = V::size;
  constexpr E lowest = -std::numeric_limits<E>::infinity();
  V top(lowest);
  int64_t i = 0;
  for (; i + W <= n; i += W) top = max(top, load(x + i));
  if (i < n) top = max(top, load_or(x + i, n - i, lowest));
  const E largest = horizontal_max(top);
  const E shift = std::isfinite(largest) ? largest : 0;
  V sum(0);
  for (i = 0; i + W <= n; i += W) sum += exp(load(x + i) - V(shift));
  if (i < n) sum += exp(load_or(x + i, n - i, lowest) - V(shift));
  return {shift, horizontal_sum(sum)};
}

}  // namespace tenon::TENON_TARGET
