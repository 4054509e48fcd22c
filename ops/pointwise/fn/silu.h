#pragma once

#include "ops/pointwise/graph.h"
#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// x sigmoid(x) (Hendrycks and Gimpel, arXiv 1606.08415, where it is called SiLU).
struct Silu {
  template <class V>
  TENON_FN static V value(V x) {
    return x * sigmoid_(x);
  }
  template <class V>
  TENON_FN static V derivative_x(V x) {
    const V s = sigmoid_(x);
    return s * (1 + x * (1 - s));
  }
  static Tensor derivative_graph(const Tensor& x, double, double) {
    const Tensor s = graph::sigmoid(x);
    return graph::mul(s, graph::affine(graph::mul(x, graph::affine(s, -1, 1)), 1, 1));
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Silu, silu)
}
