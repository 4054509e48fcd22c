#pragma once

#include "ops/pointwise/binary.h"
#include "ops/pointwise/graph.h"

namespace tenon::TENON_TARGET {

// The larger of a and b; where they are equal a gets the gradient.
struct Maximum {
  static constexpr bool ints = true;
  static constexpr double apart = 0.02;
  template <class V>
  TENON_FN static V value(V a, V b) {
    return max_(a, b);
  }
  static Tensor grad_a(const Tensor& g, const Tensor& a, const Tensor& b) {
    return graph::mul(g, graph::cast(graph::ge(a, b), g.dtype()));
  }
  static Tensor grad_b(const Tensor& g, const Tensor& a, const Tensor& b) {
    return graph::mul(g, graph::cast(graph::lt(a, b), g.dtype()));
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_BINARY(Maximum, maximum)
}
