#pragma once

#include "ops/pointwise/binary.h"

namespace tenon::TENON_TARGET {

// True where a and b are equal; the result is bool.
struct Eq {
  static constexpr bool ints = true, compares = true;
  template <class S>
  TENON_FN static bool value(S a, S b) {
    return a == b;
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_BINARY(Eq, eq)
}
