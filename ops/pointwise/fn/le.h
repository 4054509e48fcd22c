#pragma once

#include "ops/pointwise/binary.h"

namespace tenon::TENON_TARGET {

// True where a <= b; the result is bool.
struct Le {
  static constexpr bool ints = true, compares = true;
  template <class S>
  TENON_FN static bool value(S a, S b) {
    return a <= b;
  }
};

}  // namespace tenon::TENON_TARGET

namespace tenon {
TENON_BINARY(Le, le)
}
