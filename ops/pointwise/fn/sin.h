#pragma once

#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// Sine.
struct Sin {
  static constexpr double low = -6, high = 6;
  template <class V>
  TENON_FN static V value(V x) {
    return sin_(x);
  }
  template <class V>
  TENON_FN static V derivative_x(V x) {
    return cos_(x);
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Sin, sin)
}
