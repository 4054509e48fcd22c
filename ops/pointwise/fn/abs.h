#pragma once

#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// |x|; derivative 0 at 0.
struct Abs {
  static constexpr double apart = 0.05;
  template <class V>
  TENON_FN static V value(V x) {
    return abs_(x);
  }
  template <class V>
  TENON_FN static V derivative_x(V x) {
    return select_(x > 0, V(1), select_(x < 0, V(-1), V(0)));
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Abs, abs)
}
