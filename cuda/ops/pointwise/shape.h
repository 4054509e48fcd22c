// The index space of a pointwise kernel. Host and device code.
#pragma once

#include <cstdint>

namespace tenon {

inline constexpr int kPointwiseMaxRank = 8;
inline constexpr int kPointwiseMaxInputs = 2;

// Axes from slowest to fastest; strides in elements, operand 0 is the output, an input's stride is
// 0 where it is broadcast.
struct PointwiseShape {
  int rank = 0;
  int64_t sizes[kPointwiseMaxRank] = {};
  int64_t strides[kPointwiseMaxInputs + 1][kPointwiseMaxRank] = {};
};

}  // namespace tenon
