#pragma once

#include "ops/pointwise/binary.h"
#include "ops/pointwise/graph.h"

namespace tenon::TENON_TARGET {

// a - b.
struct Sub {
  static constexpr bool ints = true, linear = true;
  template <class V>
  TENON_FN static V value(V a, V b) {
    return a - b;
  }
  static Tensor grad_a(const Tensor& g, const Tensor&, const Tensor&) { return g; }
  static Tensor grad_b(const Tensor& g, const Tensor&, const Tensor&) { return graph::neg(g); }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_BINARY(Sub, sub)
}
