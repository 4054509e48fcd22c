#pragma once

#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// max(x, 0).
struct Relu {
  static constexpr double apart = 0.05;
  template <class V>
  TENON_FN static V value(V x) {
    return max_(x, V(0));
  }
  template <class V>
  TENON_FN static V derivative_y(V y) {
    return select_(y > 0, V(1), V(0));
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Relu, relu)
}
