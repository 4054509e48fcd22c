#pragma once

#include "ops/pointwise/graph.h"
#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// Hyperbolic tangent.
struct Tanh {
  template <class V>
  TENON_FN static V value(V x) {
    return tanh_(x);
  }
  template <class V>
  TENON_FN static V derivative_y(V y) {
    return 1 - y * y;
  }
  static Tensor derivative_graph(const Tensor& y, double, double) {
    return graph::affine(graph::square(y), -1, 1);
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Tanh, tanh)
}
