#pragma once

#include "ops/pointwise/graph.h"
#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// 1 / sqrt(x).
struct Rsqrt {
  static constexpr double low = 0.3, high = 3;
  template <class V>
  TENON_FN static V value(V x) {
    return 1 / sqrt_(x);
  }
  template <class V>
  TENON_FN static V derivative_y(V y) {
    return -0.5f * y * y * y;
  }
  static Tensor derivative_graph(const Tensor& y, double, double) {
    return graph::affine(graph::mul(graph::mul(y, y), y), -0.5, 0);
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Rsqrt, rsqrt)
}
