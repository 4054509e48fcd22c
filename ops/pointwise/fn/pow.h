#pragma once

#include "ops/pointwise/graph.h"
#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// x^a with a number a, for x > 0 (or any x where a is a whole number).
struct Pow {
  static constexpr int args = 1;
  static constexpr double low = 0.3, high = 2.5, sample_a = 1.7;
  template <class V, class S>
  TENON_FN static V value(V x, S a) {
    return pow_(x, V(a));
  }
  template <class V, class S>
  TENON_FN static V derivative_x(V x, S a, S) {
    return a * pow_(x, V(a - 1));
  }
  static Tensor derivative_graph(const Tensor& x, double a, double) {
    return graph::affine(graph::pow(x, a - 1), a, 0);
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY_A(Pow, pow)
}
