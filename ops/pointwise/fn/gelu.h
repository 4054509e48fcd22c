#pragma once

#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// x Phi(x) with the normal distribution function (Hendrycks and Gimpel, arXiv 1606.08415).
struct Gelu {
  template <class V>
  TENON_FN static V value(V x) {
    return x * (0.5f * (1 + erf_(x * 0.70710678118654752440)));
  }
  template <class V>
  TENON_FN static V derivative_x(V x) {
    const V phi = exp_(x * x * -0.5f) * 0.39894228040143267794;
    return 0.5f * (1 + erf_(x * 0.70710678118654752440)) + x * phi;
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Gelu, gelu)
}
