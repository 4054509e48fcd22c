#pragma once

#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// x for x > 0, else a x.
struct LeakyRelu {
  static constexpr int args = 1;
  static constexpr double apart = 0.05, sample_a = 0.2;
  template <class V, class S>
  TENON_FN static V value(V x, S a) {
    return select_(x > 0, x, x * a);
  }
  template <class V, class S>
  TENON_FN static V derivative_x(V x, S a, S) {
    return select_(x > 0, V(1), V(a));
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY_A(LeakyRelu, leaky_relu)
}
