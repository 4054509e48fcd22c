#pragma once

#include "ops/pointwise/graph.h"
#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// x^2.
struct Square {
  template <class V>
  TENON_FN static V value(V x) {
    return x * x;
  }
  template <class V>
  TENON_FN static V derivative_x(V x) {
    return x + x;
  }
  static Tensor derivative_graph(const Tensor& x, double, double) { return graph::affine(x, 2, 0); }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Square, square)
}
