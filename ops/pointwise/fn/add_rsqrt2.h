#pragma once

#include "ops/pointwise/binary.h"
#include "ops/pointwise/graph.h"

namespace tenon::TENON_TARGET {

// (a + b) / sqrt 2: the sum of a residual block, which keeps the variance (Song et al. 2021).
struct AddRsqrt2 {
  static constexpr bool linear = true, symmetric = true;
  template <class V>
  TENON_FN static V value(V a, V b) {
    return (a + b) * 0.70710678118654752440;
  }
  static Tensor grad_a(const Tensor& g, const Tensor&, const Tensor&) {
    return graph::affine(g, 0.70710678118654752440, 0);
  }
  static Tensor grad_b(const Tensor& g, const Tensor& a, const Tensor& b) {
    return grad_a(g, a, b);
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_BINARY(AddRsqrt2, add_rsqrt2)
}
