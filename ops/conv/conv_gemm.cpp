// Convolutions without a library: patches laid out as the rows of a matrix, then gemm(). Serves
// f64, the 2-byte types on processors without them, and builds without oneDNN.
//
// Channels-last throughout: a row of patches is [KH, KW, Ci / groups] of one output pixel, and the
// weights are brought to [Co, KH, KW, Ci / groups]. Row-major images are reordered one at a time.
#include <algorithm>
#include <vector>

#include "core/simd/parallel.h"
#include "ops/conv/geometry.h"
#include "ops/linear/gemm.h"

namespace tenon {
namespace {

template <class T>
using Compute = Accumulator<T>;

// One image in the computing type, [pixels, channels].
template <class T>
void read_image(const T* from, int64_t channels, int64_t pixels, bool channels_last,
                Compute<T>* to) {
  parallel_for(pixels, std::max<int64_t>(1, 8192 / std::max<int64_t>(channels, 1)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t p = begin; p < end; ++p)
                   for (int64_t c = 0; c < channels; ++c)
                     to[p * channels + c] = static_cast<Compute<T>>(
                         from[channels_last ? p * channels + c : c * pixels + p]);
               });
}
template <class T>
void write_image(const Compute<T>* from, int64_t channels, int64_t pixels, bool channels_last,
                 T* to) {
  parallel_for(pixels, std::max<int64_t>(1, 8192 / std::max<int64_t>(channels, 1)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t p = begin; p < end; ++p)
                   for (int64_t c = 0; c < channels; ++c)
                     to[channels_last ? p * channels + c : c * pixels + p] =
                         static_cast<T>(from[p * channels + c]);
               });
}

// w [Co, Ci / groups, KH, KW] <-> [Co, KH, KW, Ci / groups].
template <class T>
std::vector<Compute<T>> read_weights(const ConvGeometry& g, const T* w) {
  const int64_t c = g.ci_per_group(), k = g.kh * g.kw;
  std::vector<Compute<T>> out(static_cast<size_t>(g.co * c * k));
  for (int64_t o = 0; o < g.co; ++o)
    for (int64_t i = 0; i < c; ++i)
      for (int64_t p = 0; p < k; ++p)
        out[static_cast<size_t>((o * k + p) * c + i)] =
            static_cast<Compute<T>>(w[(o * c + i) * k + p]);
  return out;
}
template <class T>
void write_weights(const ConvGeometry& g, const std::vector<Compute<T>>& from, T* w) {
  const int64_t c = g.ci_per_group(), k = g.kh * g.kw;
  for (int64_t o = 0; o < g.co; ++o)
    for (int64_t i = 0; i < c; ++i)
      for (int64_t p = 0; p < k; ++p)
        w[(o * c + i) * k + p] = static_cast<T>(from[static_cast<size_t>((o * k + p) * c + i)]);
}

// f(output pixel, y, x, position in the patch) for the taps of rows [begin, end) that lie inside.
template <class F>
void each_tap(const ConvGeometry& g, int64_t begin, int64_t end, F&& f) {
  const ConvWindow& a = g.window;
  for (int64_t pixel = begin; pixel < end; ++pixel) {
    const int64_t oy = pixel / g.ow, ox = pixel % g.ow;
    for (int64_t ky = 0; ky < g.kh; ++ky) {
      const int64_t y = oy * a.stride_h + ky * a.dilation_h - a.top;
      for (int64_t kx = 0; kx < g.kw; ++kx) {
        const int64_t x = ox * a.stride_w + kx * a.dilation_w - a.left;
        f(pixel, y, x, (ky * g.kw + kx) * g.ci_per_group(), y >= 0 && y < g.h && x >= 0 && x < g.w);
      }
    }
  }
}

// The patches of one group of an image [pixels, Ci]: [output pixels, KH, KW, Ci / groups].
template <class C>
void gather_patches(const ConvGeometry& g, int64_t group, const C* image, C* patches) {
  const int64_t c = g.ci_per_group(), row = g.kh * g.kw * c;
  parallel_for(g.oh * g.ow, std::max<int64_t>(1, 8192 / row), [&](int64_t begin, int64_t end) {
    each_tap(g, begin, end, [&](int64_t pixel, int64_t y, int64_t x, int64_t at, bool inside) {
      C* to = patches + pixel * row + at;
      if (!inside) {
        std::fill(to, to + c, C(0));
        return;
      }
      const C* from = image + (y * g.w + x) * g.ci + group * c;
      std::copy(from, from + c, to);
    });
  });
}

// The transpose of gather_patches: adds patches up in the image. Over channels in parallel, so that
// no two threads add to one place.
template <class C>
void scatter_patches(const ConvGeometry& g, int64_t group, const C* patches, C* image) {
  const int64_t c = g.ci_per_group(), row = g.kh * g.kw * c;
  parallel_for(c, 16, [&](int64_t first, int64_t last) {
    each_tap(g, 0, g.oh * g.ow, [&](int64_t pixel, int64_t y, int64_t x, int64_t at, bool inside) {
      if (!inside) return;
      const C* from = patches + pixel * row + at;
      C* to = image + (y * g.w + x) * g.ci + group * c;
      for (int64_t i = first; i < last; ++i) to[i] += from[i];
    });
  });
}

template <class C>
Gemm<C> product(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const C* a, int64_t lda,
                const C* b, int64_t ldb, C* c, int64_t ldc, double beta) {
  Gemm<C> g;
  g.trans_a = ta;
  g.trans_b = tb;
  g.m = m;
  g.n = n;
  g.k = k;
  g.a = a;
  g.lda = lda;
  g.b = b;
  g.ldb = ldb;
  g.c = c;
  g.ldc = ldc;
  g.beta = beta;
  return g;
}

template <class C>
using Buffer = std::vector<C>;
template <class C>
Buffer<C> buffer(int64_t count) {
  return Buffer<C>(static_cast<size_t>(count));
}

template <class T>
void forward(const ConvGeometry& g, const T* x, const T* w, const T* bias, T* y) {
  using C = Compute<T>;
  const int64_t pixels = g.h * g.w, out = g.oh * g.ow, row = g.kh * g.kw * g.ci_per_group();
  const int64_t co = g.co_per_group();
  const auto weights = read_weights(g, w);
  auto image = buffer<C>(pixels * g.ci), result = buffer<C>(out * g.co),
       patches = buffer<C>(out * row);
  for (int64_t n = 0; n < g.n; ++n) {
    read_image(x + n * pixels * g.ci, g.ci, pixels, g.channels_last, image.data());
    for (int64_t p = 0; p < out; ++p)
      for (int64_t o = 0; o < g.co; ++o)
        result[static_cast<size_t>(p * g.co + o)] = bias ? static_cast<C>(bias[o]) : C(0);
    for (int64_t group = 0; group < g.window.groups; ++group) {
      gather_patches(g, group, image.data(), patches.data());
      gemm(product(false, true, out, co, row, patches.data(), row,
                   weights.data() + group * co * row, row, result.data() + group * co, g.co, 1.0));
    }
    write_image(result.data(), g.co, out, g.channels_last, y + n * out * g.co);
  }
}

template <class T>
void input_grad(const ConvGeometry& g, const T* gy, const T* w, T* dx) {
  using C = Compute<T>;
  const int64_t pixels = g.h * g.w, out = g.oh * g.ow, row = g.kh * g.kw * g.ci_per_group();
  const int64_t co = g.co_per_group();
  const auto weights = read_weights(g, w);
  auto grad = buffer<C>(out * g.co), image = buffer<C>(pixels * g.ci),
       patches = buffer<C>(out * row);
  for (int64_t n = 0; n < g.n; ++n) {
    read_image(gy + n * out * g.co, g.co, out, g.channels_last, grad.data());
    std::fill(image.begin(), image.end(), C(0));
    for (int64_t group = 0; group < g.window.groups; ++group) {
      gemm(product(false, false, out, row, co, grad.data() + group * co, g.co,
                   weights.data() + group * co * row, row, patches.data(), row, 0.0));
      scatter_patches(g, group, patches.data(), image.data());
    }
    write_image(image.data(), g.ci, pixels, g.channels_last, dx + n * pixels * g.ci);
  }
}

template <class T>
void weight_grad(const ConvGeometry& g, const T* x, const T* gy, T* dw) {
  using C = Compute<T>;
  const int64_t pixels = g.h * g.w, out = g.oh * g.ow, row = g.kh * g.kw * g.ci_per_group();
  const int64_t co = g.co_per_group();
  auto image = buffer<C>(pixels * g.ci), grad = buffer<C>(out * g.co),
       patches = buffer<C>(out * row);
  auto sums = buffer<C>(g.co * row);
  for (int64_t n = 0; n < g.n; ++n) {
    read_image(x + n * pixels * g.ci, g.ci, pixels, g.channels_last, image.data());
    read_image(gy + n * out * g.co, g.co, out, g.channels_last, grad.data());
    for (int64_t group = 0; group < g.window.groups; ++group) {
      gather_patches(g, group, image.data(), patches.data());
      gemm(product(true, false, co, row, out, grad.data() + group * co, g.co, patches.data(), row,
                   sums.data() + group * co * row, row, 1.0));
    }
  }
  write_weights(g, sums, dw);
}

void run_forward(const KernelCall& call) {
  const Tensor &x = call.in[0], &w = call.in[1], &bias = call.in[2], &y = call.out[0];
  const ConvGeometry g = conv_geometry(call.get<ConvWindow>(), x, w.size(2), w.size(3), y);
  visit_float(x.dtype(), "conv2d", [&](auto tag) {
    using T = typename decltype(tag)::type;
    forward(g, x.data<T>(), w.data<T>(), bias.defined() ? bias.data<T>() : nullptr, y.data<T>());
  });
}
void run_input_grad(const KernelCall& call) {
  const Tensor &gy = call.in[0], &w = call.in[1], &dx = call.out[0];
  const ConvGeometry g =
      conv_geometry(call.get<Conv2dInputGrad::Attrs>().window, dx, w.size(2), w.size(3), gy);
  visit_float(gy.dtype(), "conv2d_input_grad", [&](auto tag) {
    using T = typename decltype(tag)::type;
    input_grad(g, gy.data<T>(), w.data<T>(), dx.data<T>());
  });
}
void run_weight_grad(const KernelCall& call) {
  const Tensor &x = call.in[0], &gy = call.in[1];
  const auto& a = call.get<Conv2dWeightGrad::Attrs>();
  const ConvGeometry g = conv_geometry(a.window, x, a.kh, a.kw, gy);
  visit_float(x.dtype(), "conv2d_weight_grad", [&](auto tag) {
    using T = typename decltype(tag)::type;
    weight_grad(g, x.data<T>(), gy.data<T>(), call.out[0].data<T>());
  });
}

TENON_REGISTER_KERNEL(Conv2d, {.name = "gemm", .rank = kRankAvx2, .run = run_forward});
TENON_REGISTER_KERNEL(Conv2dInputGrad, {.name = "gemm", .rank = kRankAvx2, .run = run_input_grad});
TENON_REGISTER_KERNEL(Conv2dWeightGrad,
                      {.name = "gemm", .rank = kRankAvx2, .run = run_weight_grad});

}  // namespace
}  // namespace tenon
