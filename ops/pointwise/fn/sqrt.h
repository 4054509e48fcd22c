#pragma once

#include "ops/pointwise/graph.h"
#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// Square root.
struct Sqrt {
  static constexpr double low = 0.2, high = 3;
  template <class V>
  TENON_FN static V value(V x) {
    return sqrt_(x);
  }
  template <class V>
  TENON_FN static V derivative_y(V y) {
    return 0.5f / y;
  }
  static Tensor derivative_graph(const Tensor& y, double, double) {
    return graph::affine(graph::reciprocal(y), 0.5, 0);
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Sqrt, sqrt)
}
