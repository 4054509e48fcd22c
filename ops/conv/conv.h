// Two-dimensional convolution (cross-correlation, as in PyTorch), its gradients and its transpose.
//
// x [N, Ci, H, W], w [Co, Ci / groups, KH, KW], y [N, Co, OH, OW] with
//   OH = (H + top + bottom - dilation_h (KH - 1) - 1) / stride_h + 1, and OW alike.
// Activations are row-major or channels-last; the output has the order of the input (channels-last
// where the input is both). Weights are row-major. Sums are kept in f32 for the 2-byte types.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

struct ConvWindow {
  int64_t stride_h = 1, stride_w = 1;
  int64_t top = 0, bottom = 0, left = 0, right = 0;  // padding with zeros
  int64_t dilation_h = 1, dilation_w = 1;
  int64_t groups = 1;
  friend bool operator==(const ConvWindow&, const ConvWindow&) = default;
};

// The same stride, padding and dilation along both axes.
ConvWindow conv_window(int64_t stride = 1, int64_t padding = 0, int64_t dilation = 1,
                       int64_t groups = 1);

struct Conv2d {
  using Attrs = ConvWindow;
  static constexpr OpTraits traits{.name = "conv2d",
                                   .inputs = 3,
                                   .optional_inputs = 0b100,
                                   .saved_inputs = 0b011,
                                   .row_major_inputs = 0b110,
                                   .cost = Cost::Compute,
                                   .autocast = AutocastClass::Bf16,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Image};
  static Metas infer(const Attrs& a, Inputs in);  // x, w, bias [Co]
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// The gradient with respect to x, of size [h, w]; also the transposed convolution.
struct Conv2dInputGrad {
  struct Attrs {
    ConvWindow window;
    int64_t h = 0, w = 0;
  };
  static constexpr OpTraits traits{.name = "conv2d_input_grad",
                                   .inputs = 2,
                                   .saved_inputs = 0b11,
                                   .row_major_inputs = 0b10,
                                   .cost = Cost::Compute,
                                   .autocast = AutocastClass::Bf16,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Image};
  static Metas infer(const Attrs& a, Inputs in);  // g [N, Co, OH, OW], w
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// The gradient with respect to w, with a kernel of [kh, kw].
struct Conv2dWeightGrad {
  struct Attrs {
    ConvWindow window;
    int64_t kh = 1, kw = 1;
  };
  static constexpr OpTraits traits{.name = "conv2d_weight_grad",
                                   .inputs = 2,
                                   .saved_inputs = 0b11,
                                   .cost = Cost::Compute,
                                   .autocast = AutocastClass::Bf16,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Image,
                                   .thread_dependent = true};
  static Metas infer(const Attrs& a, Inputs in);  // x, g
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// bias may be undefined.
Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvWindow& window);

// The transpose of the convolution from [N, Co, ...] to [N, Ci, ...]: x [N, Ci, H, W],
// w [Ci, Co / groups, KH, KW], bias [Co] or undefined; output height
// (H - 1) stride_h - top - bottom + dilation_h (KH - 1) + 1 + extra_h, 0 <= extra_h < stride_h.
Tensor conv_transpose2d(const Tensor& x, const Tensor& w, const Tensor& bias,
                        const ConvWindow& window, int64_t extra_h = 0, int64_t extra_w = 0);

}  // namespace tenon
