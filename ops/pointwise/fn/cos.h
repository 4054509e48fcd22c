#pragma once

#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// Cosine.
struct Cos {
  static constexpr double low = -6, high = 6;
  template <class V>
  TENON_FN static V value(V x) {
    return cos_(x);
  }
  template <class V>
  TENON_FN static V derivative_x(V x) {
    return -sin_(x);
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Cos, cos)
}
