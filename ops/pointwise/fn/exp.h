#pragma once

#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// e^x.
struct Exp {
  template <class V>
  TENON_FN static V value(V x) {
    return exp_(x);
  }
  template <class V>
  TENON_FN static V derivative_y(V y) {
    return y;
  }
  static Tensor derivative_graph(const Tensor& y, double, double) { return y; }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Exp, exp)
}
