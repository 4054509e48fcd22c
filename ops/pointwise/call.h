// Calling a pointwise functor with or without its scalar arguments, on the CPU and in kernels.
#pragma once

#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

template <class V>
struct ElementOf {
  using type = V;
};
template <>
struct ElementOf<f32x16> {
  using type = float;
};
template <>
struct ElementOf<f64x8> {
  using type = double;
};

template <class F, class V>
TENON_HD TENON_INLINE V call_value(V x, const ScalarArgs& p) {
  using E = typename ElementOf<V>::type;
  if constexpr (requires { F::value(x); })
    return F::value(x);
  else if constexpr (requires { F::value(x, E(0)); })
    return F::value(x, static_cast<E>(p.a));
  else
    return F::value(x, static_cast<E>(p.a), static_cast<E>(p.b));
}
template <class F, class V>
TENON_HD TENON_INLINE V call_derivative(V saved, const ScalarArgs& p) {
  using E = typename ElementOf<V>::type;
  const E a = static_cast<E>(p.a), b = static_cast<E>(p.b);
  if constexpr (requires { F::derivative_x(saved); })
    return F::derivative_x(saved);
  else if constexpr (requires { F::derivative_x(saved, a, b); })
    return F::derivative_x(saved, a, b);
  else if constexpr (requires { F::derivative_y(saved); })
    return F::derivative_y(saved);
  else
    return F::derivative_y(saved, a, b);
}

}  // namespace tenon::TENON_TARGET
