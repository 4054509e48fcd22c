// A convolution problem in plain numbers, as the kernels want it.
#pragma once

#include "ops/conv/conv.h"

namespace tenon {

struct ConvGeometry {
  ConvWindow window;
  int64_t n = 0, ci = 0, h = 0, w = 0, co = 0, kh = 0, kw = 0, oh = 0, ow = 0;
  bool channels_last = false;  // x, y and their gradients; weights are always row-major
  int64_t ci_per_group() const { return ci / window.groups; }
  int64_t co_per_group() const { return co / window.groups; }
  bool operator==(const ConvGeometry&) const = default;
};

// From the tensors of a call: x-like, w-like sizes and y-like.
inline ConvGeometry conv_geometry(const ConvWindow& window, const Tensor& x, int64_t kh, int64_t kw,
                                  const Tensor& y) {
  return {.window = window,
          .n = x.size(0),
          .ci = x.size(1),
          .h = x.size(2),
          .w = x.size(3),
          .co = y.size(1),
          .kh = kh,
          .kw = kw,
          .oh = y.size(2),
          .ow = y.size(3),
          .channels_last = x.is_channels_last() || y.is_channels_last()};
}

}  // namespace tenon
