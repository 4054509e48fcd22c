#pragma once

#include "ops/pointwise/binary.h"
#include "ops/pointwise/graph.h"

namespace tenon::TENON_TARGET {

// a b.
struct Mul {
  static constexpr bool ints = true;
  template <class V>
  TENON_FN static V value(V a, V b) {
    return a * b;
  }
  static Tensor grad_a(const Tensor& g, const Tensor&, const Tensor& b) { return graph::mul(g, b); }
  static Tensor grad_b(const Tensor& g, const Tensor& a, const Tensor&) { return graph::mul(g, a); }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_BINARY(Mul, mul)
}
