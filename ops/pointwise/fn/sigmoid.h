#pragma once

#include "ops/pointwise/graph.h"
#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// 1 / (1 + e^-x).
struct Sigmoid {
  template <class V>
  TENON_FN static V value(V x) {
    return sigmoid_(x);
  }
  template <class V>
  TENON_FN static V derivative_y(V y) {
    return y * (1 - y);
  }
  static Tensor derivative_graph(const Tensor& y, double, double) {
    return graph::mul(y, graph::affine(y, -1, 1));
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Sigmoid, sigmoid)
}
