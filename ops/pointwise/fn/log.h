#pragma once

#include "ops/pointwise/graph.h"
#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// Natural logarithm.
struct Log {
  static constexpr double low = 0.2, high = 3;
  template <class V>
  TENON_FN static V value(V x) {
    return log_(x);
  }
  template <class V>
  TENON_FN static V derivative_x(V x) {
    return 1 / x;
  }
  static Tensor derivative_graph(const Tensor& x, double, double) { return graph::reciprocal(x); }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Log, log)
}
