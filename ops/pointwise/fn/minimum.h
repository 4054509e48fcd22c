#pragma once

#include "ops/pointwise/binary.h"
#include "ops/pointwise/graph.h"

namespace tenon::TENON_TARGET {

// The smaller of a and b; where they are equal a gets the gradient.
struct Minimum {
  static constexpr bool ints = true;
  static constexpr double apart = 0.02;
  template <class V>
  TENON_FN static V value(V a, V b) {
    return min_(a, b);
  }
  static Tensor grad_a(const Tensor& g, const Tensor& a, const Tensor& b) {
    return graph::mul(g, graph::cast(graph::le(a, b), g.dtype()));
  }
  static Tensor grad_b(const Tensor& g, const Tensor& a, const Tensor& b) {
    return graph::mul(g, graph::cast(graph::gt(a, b), g.dtype()));
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_BINARY(Minimum, minimum)
}
