#pragma once

#include "ops/pointwise/binary.h"
#include "ops/pointwise/graph.h"

namespace tenon::TENON_TARGET {

// a / b.
struct Div {
  static constexpr double low = 0.4, high = 2.5;
  template <class V>
  TENON_FN static V value(V a, V b) {
    return a / b;
  }
  static Tensor grad_a(const Tensor& g, const Tensor&, const Tensor& b) {
    return graph::mul(g, graph::reciprocal(b));
  }
  static Tensor grad_b(const Tensor& g, const Tensor& a, const Tensor& b) {
    const Tensor r = graph::reciprocal(b);
    return graph::neg(graph::mul(graph::mul(g, a), graph::mul(r, r)));
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_BINARY(Div, div)
}
