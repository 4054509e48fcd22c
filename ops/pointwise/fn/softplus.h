#pragma once

#include "ops/pointwise/graph.h"
#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// log(1 + e^x), without overflow.
struct Softplus {
  template <class V>
  TENON_FN static V value(V x) {
    return max_(x, V(0)) + log1p_(exp_(-abs_(x)));
  }
  template <class V>
  TENON_FN static V derivative_x(V x) {
    return sigmoid_(x);
  }
  static Tensor derivative_graph(const Tensor& x, double, double) { return graph::sigmoid(x); }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Softplus, softplus)
}
