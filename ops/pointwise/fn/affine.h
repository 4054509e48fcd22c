#pragma once

#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// a x + b with numbers a and b.
struct Affine {
  static constexpr int args = 2;
  static constexpr double sample_a = 1.7, sample_b = -0.3;
  template <class V, class S>
  TENON_FN static V value(V x, S a, S b) {
    return x * a + b;
  }
  template <class V, class S>
  TENON_FN static V derivative_x(V, S a, S) {
    return V(a);
  }
  static Tensor derivative_graph(const Tensor& x, double a, double) {
    return Tensor::full(x.sizes(), a, x.dtype(), x.device());
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY_AB(Affine, affine)
}
