#pragma once

#include "ops/pointwise/unary.h"

namespace tenon::TENON_TARGET {

// Error function.
struct Erf {
  template <class V>
  TENON_FN static V value(V x) {
    return erf_(x);
  }
  template <class V>
  TENON_FN static V derivative_x(V x) {
    return exp_(-x * x) * 1.12837916709551257390;
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_UNARY(Erf, erf)
}
