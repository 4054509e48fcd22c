// Sums and maxima over a warp and over a block. The order of the additions is fixed, so results do
// not depend on how warps are scheduled.
#pragma once

#include "cuda/kit/warp.h"

namespace tenon::kit {

struct Sum {
  template <class T>
  TENON_DEVICE T operator()(T a, T b) const {
    return a + b;
  }
};
struct Max {  // NaN wins, so that it is not lost in a softmax
  template <class T>
  TENON_DEVICE T operator()(T a, T b) const {
    return a > b || a != a ? a : b;
  }
};

// Every lane gets the result.
template <class Op, class T>
TENON_DEVICE T warp_reduce(T value, Op op) {
  for (int bits = kWarpSize / 2; bits > 0; bits /= 2) value = op(value, shuffle_xor(value, bits));
  return value;
}

// Every thread gets the result. All threads of the block call it; their number is a multiple of 32.
template <class Op, class T>
TENON_DEVICE T block_reduce(T value, Op op) {
  TENON_SHARED(T, partial, kWarpSize);
  const int warps = block_threads() / kWarpSize;
  value = warp_reduce(value, op);
  if (warps == 1) return value;
  if (lane_index() == 0) partial[warp_index()] = value;
  sync_block();
  value =
      partial[0];  // each thread folds the rest itself: no second barrier to hand the result out
  for (int w = 1; w < warps; ++w) value = op(value, partial[w]);
  sync_block();  // `partial` may be written again after this
  return value;
}

}  // namespace tenon::kit
