#pragma once

#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// x limited to [a, b]; derivative 1 inside and at the ends, as PyTorch has it.
struct Clamp {
  static constexpr int args = 2;
  static constexpr double apart = 0.05, sample_a = -0.81, sample_b = 0.63;
  template <class V, class S>
  TENON_FN static V value(V x, S a, S b) {
    return min_(max_(x, V(a)), V(b));
  }
  template <class V, class S>
  TENON_FN static V derivative_x(V x, S a, S b) {
    return select_(x >= a, select_(x <= b, V(1), V(0)), V(0));
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY_AB(Clamp, clamp)
}
