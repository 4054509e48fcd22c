// Plain loops in double, any strides: the judge of every other implementation.
#include <vector>

#include "ops/conv/geometry.h"

namespace tenon {
namespace {

// visit(n, group, co, ci, oy, ox, ky, kx, y, x) for every product of the convolution; co and ci
// count over all channels, ci_w within the group.
template <class F>
void each_product(const ConvGeometry& g, F&& visit) {
  const ConvWindow& a = g.window;
  for (int64_t n = 0; n < g.n; ++n)
    for (int64_t co = 0; co < g.co; ++co) {
      const int64_t first = co / g.co_per_group() * g.ci_per_group();
      for (int64_t oy = 0; oy < g.oh; ++oy)
        for (int64_t ox = 0; ox < g.ow; ++ox)
          for (int64_t c = 0; c < g.ci_per_group(); ++c)
            for (int64_t ky = 0; ky < g.kh; ++ky)
              for (int64_t kx = 0; kx < g.kw; ++kx) {
                const int64_t y = oy * a.stride_h + ky * a.dilation_h - a.top;
                const int64_t x = ox * a.stride_w + kx * a.dilation_w - a.left;
                if (y < 0 || y >= g.h || x < 0 || x >= g.w) continue;
                visit(n, first + c, y, x, co, c, ky, kx, oy, ox);
              }
    }
}

// A rank-4 tensor read as double through its strides.
template <class T>
struct Reader {
  const T* data;
  Dims strides;
  explicit Reader(const Tensor& t) : data(t.data<T>()), strides(t.strides()) {}
  double operator()(int64_t a, int64_t b, int64_t c, int64_t d) const {
    return static_cast<double>(
        data[a * strides[0] + b * strides[1] + c * strides[2] + d * strides[3]]);
  }
};

// Sums in double, written to the tensor at the end.
struct Sums {
  std::vector<double> data;
  Dims strides;
  explicit Sums(const Tensor& t)
      : data(static_cast<size_t>(t.numel())), strides(contiguous_strides(t.sizes())) {}
  double& operator()(int64_t a, int64_t b, int64_t c, int64_t d) {
    return data[static_cast<size_t>(a * strides[0] + b * strides[1] + c * strides[2] + d)];
  }
  template <class T>
  void write(const Tensor& t) const {
    const Dims& s = t.strides();
    size_t i = 0;
    for (int64_t a = 0; a < t.size(0); ++a)
      for (int64_t b = 0; b < t.size(1); ++b)
        for (int64_t c = 0; c < t.size(2); ++c)
          for (int64_t d = 0; d < t.size(3); ++d)
            t.data<T>()[a * s[0] + b * s[1] + c * s[2] + d * s[3]] = static_cast<T>(data[i++]);
  }
};

void forward_ref(const KernelCall& call) {
  const Tensor &x = call.in[0], &w = call.in[1], &bias = call.in[2], &y = call.out[0];
  const ConvGeometry g = conv_geometry(call.get<ConvWindow>(), x, w.size(2), w.size(3), y);
  visit_float(x.dtype(), "conv2d", [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Reader<T> px(x), pw(w);
    Sums sums(y);
    if (bias.defined())
      for (size_t i = 0; i < sums.data.size(); ++i)
        sums.data[i] =
            static_cast<double>(bias.data<T>()[static_cast<int64_t>(i) / (g.oh * g.ow) % g.co]);
    each_product(g,
                 [&](auto n, auto ci, auto iy, auto ix, auto co, auto c, auto ky, auto kx, auto oy,
                     auto ox) { sums(n, co, oy, ox) += px(n, ci, iy, ix) * pw(co, c, ky, kx); });
    sums.write<T>(y);
  });
}
TENON_REGISTER_KERNEL(Conv2d, {.name = "ref", .rank = kRankRef, .run = forward_ref});

void input_grad_ref(const KernelCall& call) {
  const Tensor &gy = call.in[0], &w = call.in[1], &dx = call.out[0];
  const auto& attrs = call.get<Conv2dInputGrad::Attrs>();
  const ConvGeometry g = conv_geometry(attrs.window, dx, w.size(2), w.size(3), gy);
  visit_float(gy.dtype(), "conv2d_input_grad", [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Reader<T> pg(gy), pw(w);
    Sums sums(dx);
    each_product(g,
                 [&](auto n, auto ci, auto iy, auto ix, auto co, auto c, auto ky, auto kx, auto oy,
                     auto ox) { sums(n, ci, iy, ix) += pg(n, co, oy, ox) * pw(co, c, ky, kx); });
    sums.write<T>(dx);
  });
}
TENON_REGISTER_KERNEL(Conv2dInputGrad, {.name = "ref", .rank = kRankRef, .run = input_grad_ref});

void weight_grad_ref(const KernelCall& call) {
  const Tensor &x = call.in[0], &gy = call.in[1], &dw = call.out[0];
  const auto& attrs = call.get<Conv2dWeightGrad::Attrs>();
  const ConvGeometry g = conv_geometry(attrs.window, x, attrs.kh, attrs.kw, gy);
  visit_float(gy.dtype(), "conv2d_weight_grad", [&](auto tag) {
    using T = typename decltype(tag)::type;
    const Reader<T> px(x), pg(gy);
    Sums sums(dw);
    each_product(g,
                 [&](auto n, auto ci, auto iy, auto ix, auto co, auto c, auto ky, auto kx, auto oy,
                     auto ox) { sums(co, c, ky, kx) += pg(n, co, oy, ox) * px(n, ci, iy, ix); });
    sums.write<T>(dw);
  });
}
TENON_REGISTER_KERNEL(Conv2dWeightGrad, {.name = "ref", .rank = kRankRef, .run = weight_grad_ref});

}  // namespace
}  // namespace tenon
