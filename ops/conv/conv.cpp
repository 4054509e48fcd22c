#include "ops/conv/conv.h"

#include "ops/ops.h"

namespace tenon {

TENON_REGISTER_OP(Conv2d);
TENON_REGISTER_OP(Conv2dInputGrad);
TENON_REGISTER_OP(Conv2dWeightGrad);

namespace {

void check_window(const ConvWindow& a, const char* op) {
  check(a.stride_h >= 1 && a.stride_w >= 1 && a.dilation_h >= 1 && a.dilation_w >= 1 &&
            a.groups >= 1 && a.top >= 0 && a.bottom >= 0 && a.left >= 0 && a.right >= 0,
        ErrorKind::Usage,
        "{}: stride ({}, {}), dilation ({}, {}), groups {}, padding ({}, {}, {}, {}); want stride, "
        "dilation and groups >= 1, padding >= 0",
        op, a.stride_h, a.stride_w, a.dilation_h, a.dilation_w, a.groups, a.top, a.bottom, a.left,
        a.right);
  constexpr int64_t kLimit = int64_t{1} << 31;
  check(a.stride_h < kLimit && a.stride_w < kLimit && a.dilation_h < kLimit &&
            a.dilation_w < kLimit && a.top < kLimit && a.bottom < kLimit && a.left < kLimit &&
            a.right < kLimit,
        ErrorKind::Usage, "{}: a stride, dilation or padding is 2^31 or more", op);
}

int64_t out_size(int64_t size, int64_t before, int64_t after, int64_t dilation, int64_t kernel,
                 int64_t stride, const char* op) {
  const int64_t room = size + before + after - dilation * (kernel - 1) - 1;
  check(kernel >= 1 && room >= 0, ErrorKind::Usage,
        "{}: a kernel of {} with dilation {} does not fit into {} with padding {} + {}", op, kernel,
        dilation, size, before, after);
  return room / stride + 1;
}

int64_t out_h(const ConvWindow& a, int64_t h, int64_t kh, const char* op) {
  return out_size(h, a.top, a.bottom, a.dilation_h, kh, a.stride_h, op);
}
int64_t out_w(const ConvWindow& a, int64_t w, int64_t kw, const char* op) {
  return out_size(w, a.left, a.right, a.dilation_w, kw, a.stride_w, op);
}

// Channels-last unless `order` is row-major and not both at once (one channel, or one pixel).
TensorMeta image_meta(const Tensor& order, Dims sizes) {
  const bool both =
      order.is_contiguous() && (order.size(1) == 1 || (order.size(2) == 1 && order.size(3) == 1));
  Dims strides;
  if (order.is_channels_last() || both) strides = channels_last_strides(sizes);
  return {std::move(sizes), order.dtype(), std::move(strides)};
}

void check_image(const Tensor& t, const char* what, const char* op) {
  check(t.rank() == 4 && is_float(t.dtype()), ErrorKind::Usage,
        "{}: {} is {}, want [N, C, H, W] of a floating type", op, what, t.describe());
}

void check_weight(const Tensor& w, int64_t ci, int64_t co, int64_t groups, const char* op) {
  check(w.rank() == 4 && is_float(w.dtype()), ErrorKind::Usage,
        "{}: w is {}, want [Co, Ci / groups, KH, KW] of a floating type", op, w.describe());
  check(ci % groups == 0 && co % groups == 0 && w.size(1) * groups == ci, ErrorKind::Usage,
        "{}: w is {} with {} groups, x has {} channels: want w [Co, Ci / groups, KH, KW], groups "
        "dividing both Co and Ci",
        op, w.describe(), groups, ci);
}

}  // namespace

ConvWindow conv_window(int64_t stride, int64_t padding, int64_t dilation, int64_t groups) {
  return {stride, stride, padding, padding, padding, padding, dilation, dilation, groups};
}

// ---- y = conv(x, w) + bias ----

Metas Conv2d::infer(const Attrs& a, Inputs in) {
  const Tensor &x = in[0], &w = in[1], &bias = in[2];
  check_window(a, "conv2d");
  check_image(x, "x", "conv2d");
  check_weight(w, x.size(1), w.rank() > 0 ? w.size(0) : 0, a.groups, "conv2d");
  check(!bias.defined() || (bias.rank() == 1 && bias.size(0) == w.size(0)), ErrorKind::Usage,
        "conv2d: bias is {}, want [{}]", bias.defined() ? bias.describe() : "", w.size(0));
  return {image_meta(x, {x.size(0), w.size(0), out_h(a, x.size(2), w.size(2), "conv2d"),
                         out_w(a, x.size(3), w.size(3), "conv2d")})};
}

TensorVec Conv2d::backward(const Attrs& a, const BackwardArgs& args) {
  const Tensor &g = args.grad(), &x = args.input(0), &w = args.input(1);
  Tensor dx, dw, db;
  if (args.needs(0)) dx = apply<Conv2dInputGrad>({a, x.size(2), x.size(3)}, {g, w})[0];
  if (args.needs(1)) dw = apply<Conv2dWeightGrad>({a, w.size(2), w.size(3)}, {x, g})[0];
  if (args.needs(2)) db = sum(g, {0, 2, 3});
  return {dx, dw, db};
}

// ---- dx ----

Metas Conv2dInputGrad::infer(const Attrs& a, Inputs in) {
  const Tensor &g = in[0], &w = in[1];
  const char* op = traits.name;
  check_window(a.window, op);
  check_image(g, "g", op);
  check(w.rank() == 4 && is_float(w.dtype()), ErrorKind::Usage,
        "{}: w is {}, want [Co, Ci / groups, KH, KW] of a floating type", op, w.describe());
  const int64_t ci = w.size(1) * a.window.groups;
  check_weight(w, ci, g.size(1), a.window.groups, op);
  check(w.size(0) == g.size(1), ErrorKind::Usage, "{}: g is {}, w is {}: channels differ", op,
        g.describe(), w.describe());
  check(a.h >= 1 && a.w >= 1 && out_h(a.window, a.h, w.size(2), op) == g.size(2) &&
            out_w(a.window, a.w, w.size(3), op) == g.size(3),
        ErrorKind::Usage, "{}: g is {}, which is not what w {} makes of [{}, {}]", op, g.describe(),
        w.describe(), a.h, a.w);
  return {image_meta(g, {g.size(0), ci, a.h, a.w})};
}

TensorVec Conv2dInputGrad::backward(const Attrs& a, const BackwardArgs& args) {
  const Tensor &up = args.grad(), &g = args.input(0), &w = args.input(1);
  Tensor dg, dw;
  if (args.needs(0)) dg = apply<Conv2d>(a.window, {up, w, Tensor()})[0];
  if (args.needs(1)) dw = apply<Conv2dWeightGrad>({a.window, w.size(2), w.size(3)}, {up, g})[0];
  return {dg, dw};
}

// ---- dw ----

Metas Conv2dWeightGrad::infer(const Attrs& a, Inputs in) {
  const Tensor &x = in[0], &g = in[1];
  const char* op = traits.name;
  check_window(a.window, op);
  check_image(x, "x", op);
  check_image(g, "g", op);
  check(x.size(0) == g.size(0) && x.size(1) % a.window.groups == 0 &&
            g.size(1) % a.window.groups == 0,
        ErrorKind::Usage,
        "{}: x is {}, g is {}, {} groups: want equal N and groups dividing both "
        "channel counts",
        op, x.describe(), g.describe(), a.window.groups);
  check(out_h(a.window, x.size(2), a.kh, op) == g.size(2) &&
            out_w(a.window, x.size(3), a.kw, op) == g.size(3),
        ErrorKind::Usage, "{}: g is {}, which is not what a kernel of [{}, {}] makes of {}", op,
        g.describe(), a.kh, a.kw, x.describe());
  return {{{g.size(1), x.size(1) / a.window.groups, a.kh, a.kw}, x.dtype(), {}}};
}

TensorVec Conv2dWeightGrad::backward(const Attrs& a, const BackwardArgs& args) {
  const Tensor &up = args.grad(), &x = args.input(0), &g = args.input(1);
  Tensor dx, dg;
  if (args.needs(0)) dx = apply<Conv2dInputGrad>({a.window, x.size(2), x.size(3)}, {g, up})[0];
  if (args.needs(1)) dg = apply<Conv2d>(a.window, {x, up, Tensor()})[0];
  return {dx, dg};
}

// ---- what the tests run ----

namespace {

struct Case {
  const char* name;
  int64_t n, ci, h, w, co, kh, kw;
  ConvWindow window;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list = {
      {"k3", 2, 3, 5, 6, 4, 3, 3, conv_window(1, 1)},
      {"k1", 2, 5, 3, 4, 3, 1, 1, {}},
      {"stride", 1, 2, 7, 8, 3, 3, 3, conv_window(2, 1)},
      {"dilation", 1, 2, 7, 6, 2, 3, 2, conv_window(1, 2, 2)},
      {"groups", 2, 4, 4, 5, 6, 3, 3, conv_window(1, 1, 1, 2)},
      {"depthwise", 1, 4, 5, 5, 4, 3, 3, conv_window(1, 1, 1, 4)},
      {"uneven", 1, 2, 5, 4, 3, 2, 3, {2, 1, 0, 1, 2, 0, 1, 1, 1}},
      {"one_channel", 2, 1, 6, 6, 8, 3, 3, conv_window(1, 1)},
      {"to_one_channel", 2, 8, 6, 6, 1, 3, 3, conv_window(1, 1)},
      {"wide", 1, 16, 6, 6, 24, 3, 3, conv_window(1, 1)},
      {"odd_size", 1, 16, 5, 7, 16, 3, 3, conv_window(1, 1)},
      {"one_pixel", 3, 4, 1, 1, 5, 1, 1, {}},
      {"empty", 0, 3, 4, 4, 2, 3, 3, conv_window(1, 1)},
  };
  return list;
}

int64_t size_h(const Case& c) {
  return out_h(c.window, c.h, c.kh, "conv2d");
}
int64_t size_w(const Case& c) {
  return out_w(c.window, c.w, c.kw, "conv2d");
}

}  // namespace

std::vector<Sample> Conv2d::samples() {
  std::vector<Sample> out;
  for (const Case& c : cases())
    out.push_back({c.name,
                   {floats({c.n, c.ci, c.h, c.w}),
                    floats({c.co, c.ci / c.window.groups, c.kh, c.kw}), floats({c.co})},
                   make_attrs(c.window)});
  const auto plain = make_attrs(Attrs{});
  out.push_back({"no_bias", {floats({1, 2, 4, 4}), floats({3, 2, 3, 3}), none()}, plain});
  const auto refuse = [&](const char* name, Dims x, Dims w, Dims b, ConvWindow a) {
    out.push_back({name, {floats(x), floats(w), floats(b)}, make_attrs(a), 0, true});
  };
  refuse("channels", {1, 2, 4, 4}, {3, 1, 3, 3}, {3}, {});
  refuse("bias", {1, 2, 4, 4}, {3, 2, 3, 3}, {2}, {});
  refuse("rank", {2, 4, 4}, {3, 2, 3, 3}, {3}, {});
  refuse("weight_rank", {1, 2, 4, 4}, {3, 2, 3}, {3}, {});
  refuse("kernel", {1, 2, 4, 4}, {3, 2, 5, 5}, {3}, {});
  refuse("window", {1, 2, 4, 4}, {3, 2, 3, 3}, {3}, conv_window(0));
  refuse("padding", {1, 2, 4, 4}, {3, 2, 3, 3}, {3}, conv_window(1, -1));
  refuse("odd_groups", {1, 3, 4, 4}, {4, 1, 3, 3}, {4}, conv_window(1, 1, 1, 2));
  return out;
}

std::vector<Sample> Conv2dInputGrad::samples() {
  std::vector<Sample> out;
  for (const Case& c : cases())
    out.push_back({c.name,
                   {floats({c.n, c.co, size_h(c), size_w(c)}),
                    floats({c.co, c.ci / c.window.groups, c.kh, c.kw})},
                   make_attrs(Attrs{c.window, c.h, c.w})});
  out.push_back(
      {"size", {floats({1, 3, 4, 4}), floats({3, 2, 3, 3})}, make_attrs(Attrs{{}, 4, 4}), 0, true});
  out.push_back({"channels",
                 {floats({1, 2, 2, 2}), floats({3, 2, 3, 3})},
                 make_attrs(Attrs{{}, 4, 4}),
                 0,
                 true});
  return out;
}

std::vector<Sample> Conv2dWeightGrad::samples() {
  std::vector<Sample> out;
  for (const Case& c : cases())
    out.push_back({c.name,
                   {floats({c.n, c.ci, c.h, c.w}), floats({c.n, c.co, size_h(c), size_w(c)})},
                   make_attrs(Attrs{c.window, c.kh, c.kw})});
  out.push_back({"batch",
                 {floats({2, 2, 4, 4}), floats({1, 3, 2, 2})},
                 make_attrs(Attrs{{}, 3, 3}),
                 0,
                 true});
  out.push_back(
      {"size", {floats({1, 2, 4, 4}), floats({1, 3, 4, 4})}, make_attrs(Attrs{{}, 3, 3}), 0, true});
  return out;
}

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& bias, const ConvWindow& window) {
  return apply<Conv2d>(window, {x, w, bias})[0];
}

Tensor conv_transpose2d(const Tensor& x, const Tensor& w, const Tensor& bias,
                        const ConvWindow& window, int64_t extra_h, int64_t extra_w) {
  check(x.rank() == 4 && w.rank() == 4, ErrorKind::Usage,
        "conv_transpose2d: x is {}, w is {}, want rank 4", x.describe(), w.describe());
  check(extra_h >= 0 && extra_h < window.stride_h && extra_w >= 0 && extra_w < window.stride_w,
        ErrorKind::Usage, "conv_transpose2d: extra size ({}, {}), want 0 to stride - 1 ({}, {})",
        extra_h, extra_w, window.stride_h - 1, window.stride_w - 1);
  const auto size = [](int64_t in, int64_t stride, int64_t before, int64_t after, int64_t dilation,
                       int64_t kernel, int64_t extra) {
    return (in - 1) * stride - before - after + dilation * (kernel - 1) + 1 + extra;
  };
  const int64_t h = size(x.size(2), window.stride_h, window.top, window.bottom, window.dilation_h,
                         w.size(2), extra_h);
  const int64_t width = size(x.size(3), window.stride_w, window.left, window.right,
                             window.dilation_w, w.size(3), extra_w);
  const Tensor y = apply<Conv2dInputGrad>({window, h, width}, {x, w})[0];
  return bias.defined() ? add(y, reshape(bias, {1, bias.size(0), 1, 1})) : y;
}

}  // namespace tenon
