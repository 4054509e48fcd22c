#pragma once

#include "ops/pointwise/graph.h"
#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// 1 / x.
struct Reciprocal {
  static constexpr double low = 0.4, high = 3;
  template <class V>
  TENON_FN static V value(V x) {
    return 1 / x;
  }
  template <class V>
  TENON_FN static V derivative_y(V y) {
    return -y * y;
  }
  static Tensor derivative_graph(const Tensor& y, double, double) {
    return graph::neg(graph::mul(y, y));
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Reciprocal, reciprocal)
}
