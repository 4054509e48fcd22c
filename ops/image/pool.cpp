#include "ops/image/pool.h"

#include <algorithm>
#include <cmath>

#include "core/simd/parallel.h"
#include "ops/registry/plain.h"

namespace tenon {

TENON_REGISTER_OP(MaxPool2d);
TENON_REGISTER_OP(MaxPool2dBackward);

Metas MaxPool2d::infer(const Attrs& a, Inputs in) {
  const Tensor& x = in[0];
  check_float(x, traits.name);
  check(a.kernel >= 1 && a.stride >= 1 && a.padding >= 0 && a.padding <= a.kernel / 2,
        ErrorKind::Usage,
        "{}: kernel {}, stride {}, padding {}: want positive ones and 0 <= padding <= kernel / 2",
        traits.name, a.kernel, a.stride, a.padding);
  check(x.rank() == 4 && std::min(x.size(2), x.size(3)) > 0 &&
            std::min(x.size(2), x.size(3)) + 2 * a.padding >= a.kernel,
        ErrorKind::Usage, "{}: x is {}, want [N, C, H, W] not smaller than kernel {}", traits.name,
        x.describe(), a.kernel);
  const auto out = [&](int64_t n) { return (n + 2 * a.padding - a.kernel) / a.stride + 1; };
  const Dims sizes{x.size(0), x.size(1), out(x.size(2)), out(x.size(3))};
  return {image_like(x, sizes, x.dtype()), image_like(x, sizes, DType::i64)};
}
TensorVec MaxPool2d::backward(const Attrs&, const BackwardArgs& g) {
  const Dims& sizes = g.input_meta(0).sizes;
  return {apply<MaxPool2dBackward>({sizes[2], sizes[3]}, {g.grad(), g.output(1)})[0]};
}
std::vector<Sample> MaxPool2d::samples() {
  const auto image = [](Dims shape) {
    InputSpec spec = floats(std::move(shape));
    spec.apart = 0.01;  // ties have no finite difference
    return spec;
  };
  return {{"halves", {image({2, 3, 4, 6})}, make_attrs(Attrs{2, 2, 0})},
          {"overlap", {image({1, 5, 7, 5})}, make_attrs(Attrs{3, 2, 1})},
          {"stride_1", {image({2, 1, 4, 4})}, make_attrs(Attrs{3, 1, 1})},
          {"empty", {image({0, 2, 4, 4})}, make_attrs(Attrs{2, 2, 0})},
          {"kernel", {image({1, 2, 2, 2})}, make_attrs(Attrs{3, 1, 0}), 0, true},
          {"padding", {image({1, 2, 4, 4})}, make_attrs(Attrs{3, 1, 2}), 0, true},
          {"rank", {image({2, 4, 4})}, make_attrs(Attrs{2, 2, 0}), 0, true}};
}

Metas MaxPool2dBackward::infer(const Attrs& a, Inputs in) {
  check_float(in[0], traits.name);
  check(in[0].rank() == 4 && in[1].sizes() == in[0].sizes() && in[1].dtype() == DType::i64 &&
            a.h > 0 && a.w > 0,
        ErrorKind::Usage, "{}: g {}, positions {}, image {} x {}", traits.name, in[0].describe(),
        in[1].describe(), a.h, a.w);
  return {image_like(in[0], {in[0].size(0), in[0].size(1), a.h, a.w}, in[0].dtype())};
}
std::vector<Sample> MaxPool2dBackward::samples() {
  return {{"spread", {floats({2, 3, 2, 3}), ints({2, 3, 2, 3}, 0, 19)}, make_attrs(Attrs{4, 5})},
          {"collide", {floats({1, 2, 4, 4}), ints({1, 2, 4, 4}, 0, 3)}, make_attrs(Attrs{2, 2})},
          {"empty", {floats({0, 2, 1, 1}), ints({0, 2, 1, 1}, 0, 3)}, make_attrs(Attrs{2, 2})},
          {"shapes",
           {floats({1, 2, 2, 2}), ints({1, 2, 2, 3}, 0, 3)},
           make_attrs(Attrs{4, 4}),
           0,
           true}};
}

Tensor max_pool2d(const Tensor& x, const PoolWindow& window) {
  return apply<MaxPool2d>(window, {x})[0];
}

namespace {

void max_pool_ref(const KernelCall& call) {
  const auto& a = call.get<PoolWindow>();
  const Tensor& shape = call.in[0];
  const std::vector<double> x = doubles(shape);
  std::vector<double> y;
  std::vector<int64_t> where;
  const int64_t h = shape.size(2), w = shape.size(3), planes = shape.size(0) * shape.size(1);
  for (int64_t p = 0; p < planes; ++p)
    for (int64_t oy = 0; oy < call.out[0].size(2); ++oy)
      for (int64_t ox = 0; ox < call.out[0].size(3); ++ox) {
        int64_t best = -1;
        double top = 0;
        for (int64_t ky = 0; ky < a.kernel; ++ky)
          for (int64_t kx = 0; kx < a.kernel; ++kx) {
            const int64_t iy = oy * a.stride - a.padding + ky, ix = ox * a.stride - a.padding + kx;
            if (iy < 0 || iy >= h || ix < 0 || ix >= w) continue;
            const double v = x[static_cast<size_t>((p * h + iy) * w + ix)];
            if (best < 0 || v > top || (std::isnan(v) && !std::isnan(top))) {
              best = iy * w + ix;
              top = v;
            }
          }
        y.push_back(top);
        where.push_back(best);
      }
  fill(call.out[0], y);
  if (call.out[1].defined()) fill(call.out[1], where);
}
TENON_REGISTER_KERNEL(MaxPool2d, {.name = "ref", .rank = kRankRef, .run = max_pool_ref});

void max_pool_backward_ref(const KernelCall& call) {
  const auto& a = call.get<MaxPool2dBackward::Attrs>();
  const std::vector<double> g = doubles(call.in[0]);
  const auto where = call.in[1].to_vector<int64_t>();
  const int64_t per_plane = call.in[0].size(2) * call.in[0].size(3);
  std::vector<double> dx(static_cast<size_t>(call.out[0].numel()));
  for (size_t i = 0; i < g.size(); ++i) {
    TENON_ASSERT(where[i] >= 0 && where[i] < a.h * a.w);
    dx[static_cast<size_t>(static_cast<int64_t>(i) / per_plane * a.h * a.w + where[i])] += g[i];
  }
  fill(call.out[0], dx);
}
TENON_REGISTER_KERNEL(MaxPool2dBackward,
                      {.name = "ref", .rank = kRankRef, .run = max_pool_backward_ref});

// Plane after plane in the memory order of the input, on all cores; windows are small, so the
// compiler's own code is good enough.
struct Planes {
  int64_t channels, plane_step, pixel_step, image_step;
  explicit Planes(const Tensor& t)
      : channels(t.size(1)),
        plane_step(t.is_channels_last() ? 1 : t.size(2) * t.size(3)),
        pixel_step(t.is_channels_last() ? t.size(1) : 1),
        image_step(t.size(1) * t.size(2) * t.size(3)) {}
  int64_t start(int64_t plane) const {
    return plane / channels * image_step + plane % channels * plane_step;
  }
};

template <class T>
using wide = std::conditional_t<std::is_same_v<T, double>, double, float>;

void max_pool_plain(const KernelCall& call) {
  const auto& a = call.get<PoolWindow>();
  const Tensor &x = call.in[0], &y = call.out[0], &where = call.out[1];
  if (y.numel() == 0) return;
  const Planes from(x), to(y);
  const int64_t h = x.size(2), w = x.size(3), oh = y.size(2), ow = y.size(3);
  visit_float(x.dtype(), MaxPool2d::traits.name, [&](auto tag) {
    using T = typename decltype(tag)::type;
    parallel_for(x.size(0) * x.size(1), 16384 / (h * w) + 1, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        const T* px = x.data<T>() + from.start(p);
        for (int64_t o = 0; o < oh * ow; ++o) {
          const int64_t top = o / ow * a.stride - a.padding, left = o % ow * a.stride - a.padding;
          const int64_t y0 = std::max<int64_t>(top, 0), x0 = std::max<int64_t>(left, 0);
          int64_t best = y0 * w + x0;
          auto most = static_cast<wide<T>>(px[best * from.pixel_step]);
          for (int64_t iy = y0; iy < std::min(h, top + a.kernel); ++iy)
            for (int64_t ix = x0; ix < std::min(w, left + a.kernel); ++ix) {
              const auto v = static_cast<wide<T>>(px[(iy * w + ix) * from.pixel_step]);
              if (v > most || (v != v && most == most)) {
                most = v;
                best = iy * w + ix;
              }
            }
          const int64_t at = to.start(p) + o * to.pixel_step;
          y.data<T>()[at] = static_cast<T>(most);
          if (where.defined()) where.data<int64_t>()[at] = best;
        }
      }
    });
  });
}
TENON_REGISTER_KERNEL(MaxPool2d, {.name = "plain", .rank = kRankBase, .run = max_pool_plain});

void max_pool_backward_plain(const KernelCall& call) {
  const Tensor &g = call.in[0], &where = call.in[1], &dx = call.out[0];
  const int64_t pixels = dx.size(2) * dx.size(3), windows = g.size(2) * g.size(3);
  if (dx.numel() == 0) return;
  const Planes from(g), to(dx);
  visit_float(g.dtype(), MaxPool2dBackward::traits.name, [&](auto tag) {
    using T = typename decltype(tag)::type;
    parallel_for(g.size(0) * g.size(1), 16384 / pixels + 1, [&](int64_t begin, int64_t end) {
      std::vector<wide<T>> sum(static_cast<size_t>(pixels));
      for (int64_t p = begin; p < end; ++p) {
        std::fill(sum.begin(), sum.end(), wide<T>(0));
        for (int64_t o = 0; o < windows; ++o) {
          const int64_t at = from.start(p) + o * from.pixel_step;
          const int64_t i = where.data<int64_t>()[at];
          TENON_ASSERT(i >= 0 && i < pixels);
          sum[static_cast<size_t>(i)] += static_cast<wide<T>>(g.data<T>()[at]);
        }
        T* out = dx.data<T>() + to.start(p);
        for (int64_t i = 0; i < pixels; ++i)
          out[i * to.pixel_step] = static_cast<T>(sum[static_cast<size_t>(i)]);
      }
    });
  });
}
TENON_REGISTER_KERNEL(MaxPool2dBackward,
                      {.name = "plain", .rank = kRankBase, .run = max_pool_backward_plain});

}  // namespace
}  // namespace tenon
