// Maximum over windows of an image.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

struct PoolWindow {
  int64_t kernel = 2, stride = 2, padding = 0;
};

// Outputs y and, for backward, the position iy * W + ix of each maximum (i64).
struct MaxPool2d {
  using Attrs = PoolWindow;
  static constexpr OpTraits traits{.name = "max_pool2d",
                                   .extras = 1,
                                   .saved_outputs = 0b10,
                                   .differentiable = Differentiable::FirstOrder,
                                   .layout = Layout::Image};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// Inputs: g, positions; output: dx [N, C, h, w].
struct MaxPool2dBackward {
  struct Attrs {
    int64_t h, w;
  };
  static constexpr OpTraits traits{.name = "max_pool2d_backward",
                                   .inputs = 2,
                                   .differentiable = Differentiable::None,
                                   .layout = Layout::Image};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};

// x [N, C, H, W]; H becomes floor((H + 2 padding - kernel) / stride) + 1. Padded pixels never win;
// 0 <= padding <= kernel / 2. Of equal values the first in row-major order gets the gradient; a NaN
// wins over numbers.
Tensor max_pool2d(const Tensor& x, const PoolWindow& window);

}  // namespace tenon
