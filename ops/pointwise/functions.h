// What a pointwise functor may call, for scalars and vectors under one name: exp_(x), select_(m, a,
// b). (The trailing underscore keeps them apart from the ops on tensors and from the C library.)
#pragma once

#include <type_traits>

#include "core/simd/math.h"
#include "core/simd/vec.h"

// Marks the functions of a functor: usable on a device, and inlined into the loops at any cost (a
// call for each vector would pass it through memory).
#define TENON_FN TENON_HD __attribute__((always_inline))

namespace tenon::TENON_TARGET {

#define TENON_FUNCTION_1(name)             \
  template <class V>                       \
  TENON_HD TENON_INLINE V name##_(V x) {   \
    if constexpr (std::is_arithmetic_v<V>) \
      return ::tenon::math::name(x);       \
    else                                   \
      return name(x);                      \
  }
TENON_FUNCTION_1(exp)
TENON_FUNCTION_1(log)
TENON_FUNCTION_1(log1p)
TENON_FUNCTION_1(tanh)
TENON_FUNCTION_1(sigmoid)
TENON_FUNCTION_1(erf)
TENON_FUNCTION_1(sin)
TENON_FUNCTION_1(cos)
TENON_FUNCTION_1(sqrt)
TENON_FUNCTION_1(floor)
TENON_FUNCTION_1(abs)
#undef TENON_FUNCTION_1

template <class V>
TENON_HD TENON_INLINE V pow_(V a, V b) {
  if constexpr (std::is_arithmetic_v<V>)
    return ::tenon::math::pow(a, b);
  else
    return pow(a, b);
}

// NaN when either is NaN.
template <class V>
TENON_HD TENON_INLINE V max_(V a, V b) {
  if constexpr (std::is_integral_v<V>)
    return a > b ? a : b;
  else if constexpr (std::is_arithmetic_v<V>)
    return ::tenon::math::max(a, b);
  else
    return max(a, b);
}
template <class V>
TENON_HD TENON_INLINE V min_(V a, V b) {
  if constexpr (std::is_integral_v<V>)
    return a < b ? a : b;
  else if constexpr (std::is_arithmetic_v<V>)
    return ::tenon::math::min(a, b);
  else
    return min(a, b);
}

// a where the mask holds, else b; both are computed.
template <class M, class V>
TENON_HD TENON_INLINE V select_(M mask, V a, V b) {
  if constexpr (std::is_same_v<M, bool>)
    return mask ? a : b;
  else
    return select(mask, a, b);
}

}  // namespace tenon::TENON_TARGET
