#pragma once

#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// a levels, evenly spaced in [-1, 1]: t = tanh(x), k = floor((t + 1) / 2 (a - 1) + 1/2), result
// 2 k / (a - 1) - 1. The derivative passes straight through the rounding: 1 - t^2 (QAC,
// section 2.2).
struct QuantizeTanh {
  static constexpr bool straight_through = true;
  static constexpr double apart = 0.05, sample_a = 4;
  template <class V, class S>
  TENON_FN static V value(V x, S a) {
    const V top = V(a - 1);
    const V k = floor_((tanh_(x) + 1) * 0.5f * top + 0.5f);
    return min_(max_(k, V(0)), top) * (2 / top) - 1;
  }
  template <class V, class S>
  TENON_FN static V derivative_x(V x, S, S) {
    const V t = tanh_(x);
    return 1 - t * t;
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY_A(QuantizeTanh, quantize_tanh)
}
