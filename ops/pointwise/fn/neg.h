#pragma once

#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// -x.
struct Neg {
  template <class V>
  TENON_FN static V value(V x) {
    return -x;
  }
  template <class V>
  TENON_FN static V derivative_x(V) {
    return V(-1);
  }
  static Tensor derivative_graph(const Tensor& x, double, double) {
    return Tensor::full(x.sizes(), -1.0, x.dtype(), x.device());
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Neg, neg)
}
