#pragma once

#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// The tanh approximation of GELU: 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
struct GeluTanh {
  template <class V>
  TENON_FN static V value(V x) {
    return 0.5f * x * (1 + tanh_(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
  }
  template <class V>
  TENON_FN static V derivative_x(V x) {
    const V t = tanh_(0.79788456080286535588 * (x + 0.044715 * x * x * x));
    return 0.5f * (1 + t) +
           0.5f * x * (1 - t * t) * 0.79788456080286535588 * (1 + 3 * 0.044715 * x * x);
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(GeluTanh, gelu_tanh)
}
