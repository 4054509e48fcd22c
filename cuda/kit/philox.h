// Random numbers in kernels: the very functions the CPU uses (core/base/rng.h), so both devices
// draw the same numbers. This header only adds the shape most kernels want.
#pragma once

#include "core/base/rng.h"
#include "cuda/kit/device.h"

namespace tenon::kit {

// Number `index` of row `row` of the stream `key`, as 32 random bits. Four neighbours share one
// call of philox; kernels that use all four call philox themselves.
TENON_DEVICE uint32_t random_bits(uint64_t key, uint64_t index, uint64_t row = 0) {
  const Philox4 four = philox(key, index / 4, row);
  return four.v[index % 4];
}

}  // namespace tenon::kit
