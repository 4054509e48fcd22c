// 3 x 3 convolutions of stride 1 on channels-last images by Winograd's F(2x2, 3x3) (Lavin and Gray,
// "Fast Algorithms for Convolutional Neural Networks", CVPR 2016): 16 products per 2 x 2 outputs in
// place of 36, at about twice the rounding error of the direct sum.
//
//   Y = A^T [(G w G^T) * (B^T d B)] A      d: 4 x 4 input tile, Y: 2 x 2 output tile
//
// Per tile position (16 of them) the sum over channels is a matrix product. A task takes a block of
// tiles through all three steps, so that everything but x, y and the transformed weights stays in
// the second-level cache. The gradient for x is the same with turned weights; the one for w is the
// transpose of each step: dw = G^T [sum over tiles of (B^T d B) (A dY A^T)] G.
#include <algorithm>
#include <vector>

#include "core/simd/parallel.h"
#include "ops/conv/geometry.h"
#include "ops/conv/winograd.h"
#include "ops/linear/register_kernel_cpu.h"

#if defined(__AVX2__)

namespace tenon::TENON_TARGET {
namespace {

using V = f32x16;
constexpr int kPositions = 16;
constexpr int64_t kColumns = kBlockVectors * V::size;  // output channels of a panel

// B^T d B, in place, d row by row.
TENON_INLINE void transform_input(V d[4][4]) {
  for (int i = 0; i < 4; i++) {  // columns
    const V a = d[0][i] - d[2][i], b = d[1][i] + d[2][i], c = d[2][i] - d[1][i],
            e = d[1][i] - d[3][i];
    d[0][i] = a;
    d[1][i] = b;
    d[2][i] = c;
    d[3][i] = e;
  }
  for (int i = 0; i < 4; i++) {  // rows
    const V a = d[i][0] - d[i][2], b = d[i][1] + d[i][2], c = d[i][2] - d[i][1],
            e = d[i][1] - d[i][3];
    d[i][0] = a;
    d[i][1] = b;
    d[i][2] = c;
    d[i][3] = e;
  }
}

// A^T m A.
TENON_INLINE void transform_output(const V m[4][4], V y[2][2]) {
  V t[2][4];
  for (int i = 0; i < 4; i++) {
    t[0][i] = m[0][i] + m[1][i] + m[2][i];
    t[1][i] = m[1][i] - m[2][i] - m[3][i];
  }
  for (int i = 0; i < 2; i++) {
    y[i][0] = t[i][0] + t[i][1] + t[i][2];
    y[i][1] = t[i][1] - t[i][2] - t[i][3];
  }
}

// A y A^T: the transpose of transform_output.
TENON_INLINE void transform_output_gradient(const V y[2][2], V m[4][4]) {
  V t[4][2];
  for (int j = 0; j < 2; j++) {
    t[0][j] = y[0][j];
    t[1][j] = y[0][j] + y[1][j];
    t[2][j] = y[0][j] - y[1][j];
    t[3][j] = -y[1][j];
  }
  for (int i = 0; i < 4; i++) {
    m[i][0] = t[i][0];
    m[i][1] = t[i][0] + t[i][1];
    m[i][2] = t[i][0] - t[i][1];
    m[i][3] = -t[i][1];
  }
}

// The images of a pass: `in` is read in 4 x 4 tiles, `out` in 2 x 2 tiles. For the gradient of x
// the two change roles and the padding is what the window leaves.
struct Tiling {
  int64_t n, ci, h, w, co, oh, ow, top, left;
  int64_t rows, columns;            // tiles of an image
  int64_t stride_in, stride_panel;  // floats per tile: padded channels; all panels of co
  int64_t count() const { return n * rows * columns; }
  int64_t panels() const { return stride_panel / kColumns; }
};

int64_t round_up(int64_t x, int64_t to) {
  return (x + to - 1) / to * to;
}

Tiling tiling(const ConvGeometry& g, bool input_gradient) {
  Tiling t{g.n, g.ci, g.h, g.w, g.co, g.oh, g.ow, g.window.top, g.window.left, 0, 0, 0, 0};
  if (input_gradient) {
    std::swap(t.ci, t.co);
    std::swap(t.h, t.oh);
    std::swap(t.w, t.ow);
    t.top = 2 - t.top;
    t.left = 2 - t.left;
  }
  t.rows = (t.oh + 1) / 2;
  t.columns = (t.ow + 1) / 2;
  // Not a multiple of the cache's period, so that the rows of a product do not evict each other.
  t.stride_in = round_up(t.ci, V::size) + V::size;
  t.stride_panel = round_up(t.co, kColumns);
  return t;
}

struct TilePlace {
  int64_t image, y, x;  // of the 2 x 2 outputs
};
TENON_INLINE TilePlace place(const Tiling& t, int64_t index) {
  const int64_t per_image = t.rows * t.columns, in_image = index % per_image;
  return {index / per_image, in_image / t.columns * 2, in_image % t.columns * 2};
}

// 4 x 4 of the input, transformed: to[position][tile][channel].
template <class T>
void read_input_tile(const Tiling& t, const T* x, int64_t index, float* to,
                     int64_t position_stride) {
  const TilePlace at = place(t, index);
  const T* image = x + at.image * t.h * t.w * t.ci;
  const T* from[4][4];  // nullptr in the padding
  for (int i = 0; i < 4; i++)
    for (int j = 0; j < 4; j++) {
      const int64_t y = at.y + i - t.top, xx = at.x + j - t.left;
      const bool inside = y >= 0 && y < t.h && xx >= 0 && xx < t.w;
      from[i][j] = inside ? image + (y * t.w + xx) * t.ci : nullptr;
    }
  for (int64_t c = 0; c < t.ci; c += V::size) {
    const int64_t left = t.ci - c;
    V d[4][4];
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 4; j++)
        d[i][j] = !from[i][j]       ? V(0.0f)
                  : left >= V::size ? load(from[i][j] + c)
                                    : load(from[i][j] + c, left);
    transform_input(d);
    for (int i = 0; i < 4; i++)
      for (int j = 0; j < 4; j++) store(d[i][j], to + (4 * i + j) * position_stride + c);
  }
}

// Panels of transformed weights: [panel of co][position][ci][kColumns]. Weight (o, i, k) of the
// pass, o an output and i an input channel of it, lies at w[o * stride_o + i * stride_i + k].
template <class T>
void transform_weights(const Tiling& t, const T* w, int64_t stride_o, int64_t stride_i, bool turned,
                       float* out) {
  parallel_for(
      t.panels() * t.ci, std::max<int64_t>(1, 512 / kColumns), [&](int64_t begin, int64_t end) {
        for (int64_t task = begin; task < end; task++) {
          const int64_t panel = task / t.ci, i = task % t.ci;
          float g[9][kColumns];
          for (int64_t l = 0; l < kColumns; l++) {
            const int64_t o = panel * kColumns + l;
            for (int k = 0; k < 9; k++)
              g[k][l] =
                  o < t.co
                      ? static_cast<float>(w[o * stride_o + i * stride_i + (turned ? 8 - k : k)])
                      : 0.0f;
          }
          for (int64_t l = 0; l < kColumns; l += V::size) {
            V r[4][3], u[4][4];
            for (int k = 0; k < 3; k++) {  // G g
              const V a = load(&g[k][l]), b = load(&g[3 + k][l]), c = load(&g[6 + k][l]);
              r[0][k] = a;
              r[1][k] = (a + b + c) * 0.5f;
              r[2][k] = (a - b + c) * 0.5f;
              r[3][k] = c;
            }
            for (int q = 0; q < 4; q++) {  // (G g) G^T
              u[q][0] = r[q][0];
              u[q][1] = (r[q][0] + r[q][1] + r[q][2]) * 0.5f;
              u[q][2] = (r[q][0] - r[q][1] + r[q][2]) * 0.5f;
              u[q][3] = r[q][2];
            }
            for (int q = 0; q < kPositions; q++)
              store(u[q / 4][q % 4], out + ((panel * kPositions + q) * t.ci + i) * kColumns + l);
          }
        }
      });
}

// Memory of the calling thread that only grows. Three of them are in use at once.
float* temporary(int which, int64_t count) {
  thread_local std::vector<float> memory[3];
  auto& m = memory[which];
  if (static_cast<int64_t>(m.size()) < count) m = std::vector<float>(static_cast<size_t>(count));
  return m.data();
}

template <class T>
void convolve(const Tiling& t, const T* x, const float* weights, const T* bias, T* y) {
  // Tiles of a block: transformed, they take about half of a second-level cache of 1 MB.
  const int64_t block = std::clamp<int64_t>(8192 / t.stride_in, 1, 8) * kBlockRows;
  const int64_t blocks = (t.count() + block - 1) / block;
  parallel_for(blocks, 1, [&](int64_t first, int64_t last) {
    const int64_t position_stride = block * t.stride_in, product_stride = block * kColumns;
    float* tiles = temporary(0, kPositions * (position_stride + product_stride));
    float* products = tiles + kPositions * position_stride;
    for (int64_t b = first; b < last; b++) {
      const int64_t begin = b * block, count = std::min(block, t.count() - begin);
      for (int64_t i = 0; i < count; i++)
        read_input_tile(t, x, begin + i, tiles + i * t.stride_in, position_stride);
      for (int64_t panel = 0; panel < t.panels(); panel++) {
        for (int q = 0; q < kPositions; q++)
          for (int64_t i = 0; i < count; i += kBlockRows)
            register_kernel<V, false>(
                t.ci, tiles + q * position_stride + i * t.stride_in, t.stride_in, 1,
                weights + (panel * kPositions + q) * t.ci * kColumns, kColumns,
                products + q * product_stride + i * kColumns, kColumns);
        for (int64_t i = 0; i < count; i++) {
          const TilePlace at = place(t, begin + i);
          T* image = y + at.image * t.oh * t.ow * t.co;
          for (int64_t l = 0; l < kColumns; l += V::size) {
            const int64_t o = panel * kColumns + l, left = t.co - o;
            if (left <= 0) break;
            V m[4][4], r[2][2];
            for (int q = 0; q < kPositions; q++)
              m[q / 4][q % 4] = load(products + q * product_stride + i * kColumns + l);
            transform_output(m, r);
            const V add = bias ? load(bias + o, left) : V(0.0f);
            for (int dy = 0; dy < 2; dy++)
              for (int dx = 0; dx < 2; dx++)
                if (at.y + dy < t.oh && at.x + dx < t.ow)
                  store(r[dy][dx] + add, image + ((at.y + dy) * t.ow + at.x + dx) * t.co + o, left);
          }
        }
      }
    }
  });
}

// 2 x 2 of the output's gradient, transformed: to[position][tile][channel].
template <class T>
void read_gradient_tile(const Tiling& t, const T* g, int64_t index, float* to,
                        int64_t position_stride) {
  const TilePlace at = place(t, index);
  const T* image = g + at.image * t.oh * t.ow * t.co;
  for (int64_t c = 0; c < t.co; c += V::size) {
    V y[2][2], m[4][4];
    for (int i = 0; i < 2; i++)
      for (int j = 0; j < 2; j++)
        y[i][j] = at.y + i < t.oh && at.x + j < t.ow
                      ? load(image + ((at.y + i) * t.ow + at.x + j) * t.co + c, t.co - c)
                      : V(0.0f);
    transform_output_gradient(y, m);
    for (int q = 0; q < kPositions; q++) store(m[q / 4][q % 4], to + q * position_stride + c);
  }
}

template <class T>
void weight_gradient(const Tiling& t, const T* x, const T* g, T* dw) {
  constexpr int64_t kBlock = 48;  // tiles whose transforms are in the cache at once
  const int64_t rows = round_up(t.ci, kBlockRows), ld = t.stride_panel + V::size;
  const int64_t sum_size = kPositions * rows * t.stride_panel;
  // Pieces of the tiles with sums of their own: their number depends on the problem alone, so the
  // result does not depend on the threads.
  const int64_t pieces = std::clamp<int64_t>(
      std::min<int64_t>(t.count() / (2 * kBlock), (int64_t{8} << 20) / 4 / sum_size), 2, 32);
  const int64_t per_piece = (t.count() + pieces - 1) / pieces;
  float* sums = temporary(2, pieces * sum_size);
  parallel_for(pieces, 1, [&](int64_t first, int64_t last) {
    // One more vector than the tiles take: a block of rows may read past the last channel.
    const int64_t in_stride = kBlock * t.stride_in, out_stride = kBlock * ld;
    float* in = temporary(0, kPositions * in_stride + V::size);
    float* out = temporary(1, kPositions * out_stride + V::size);
    for (int64_t piece = first; piece < last; piece++) {
      float* sum = sums + piece * sum_size;
      std::fill(sum, sum + sum_size, 0.0f);
      const int64_t end = std::min(t.count(), (piece + 1) * per_piece);
      for (int64_t begin = piece * per_piece; begin < end; begin += kBlock) {
        const int64_t count = std::min(kBlock, end - begin);
        for (int64_t i = 0; i < count; i++) {
          read_input_tile(t, x, begin + i, in + i * t.stride_in, in_stride);
          read_gradient_tile(t, g, begin + i, out + i * ld, out_stride);
        }
        for (int q = 0; q < kPositions; q++)
          for (int64_t o = 0; o < t.stride_panel; o += kColumns)
            for (int64_t c = 0; c < rows; c += kBlockRows)
              register_kernel<V, true>(count, in + q * in_stride + c, 1, t.stride_in,
                                       out + q * out_stride + o, ld,
                                       sum + (q * rows + c) * t.stride_panel + o, t.stride_panel);
      }
    }
  });
  // Pieces added in order, then G^T u G, written to [Co, Ci, 3, 3].
  parallel_for(t.ci, 1, [&](int64_t begin, int64_t end) {
    for (int64_t c = begin; c < end; c++)
      for (int64_t o = 0; o < t.co; o += V::size) {
        V u[4][4], r[3][4];
        for (int q = 0; q < kPositions; q++) {
          V total(0.0f);
          for (int64_t piece = 0; piece < pieces; piece++)
            total += load(sums + piece * sum_size + (q * rows + c) * t.stride_panel + o);
          u[q / 4][q % 4] = total;
        }
        for (int j = 0; j < 4; j++) {
          r[0][j] = u[0][j] + (u[1][j] + u[2][j]) * 0.5f;
          r[1][j] = (u[1][j] - u[2][j]) * 0.5f;
          r[2][j] = u[3][j] + (u[1][j] + u[2][j]) * 0.5f;
        }
        float w[9][V::size];
        for (int i = 0; i < 3; i++) {
          store(r[i][0] + (r[i][1] + r[i][2]) * 0.5f, static_cast<float*>(w[3 * i]));
          store((r[i][1] - r[i][2]) * 0.5f, static_cast<float*>(w[3 * i + 1]));
          store(r[i][3] + (r[i][1] + r[i][2]) * 0.5f, static_cast<float*>(w[3 * i + 2]));
        }
        for (int64_t l = 0; l < std::min<int64_t>(V::size, t.co - o); l++)
          for (int k = 0; k < 9; k++) dw[((o + l) * t.ci + c) * 9 + k] = static_cast<T>(w[k][l]);
      }
  });
}

}  // namespace

void winograd_forward(const KernelCall& call) {
  const Tensor &x = call.in[0], &w = call.in[1], &bias = call.in[2], &y = call.out[0];
  const ConvGeometry g = conv_geometry(call.get<ConvWindow>(), x, 3, 3, y);
  const Tiling t = tiling(g, false);
  visit_float(x.dtype(), "conv2d", [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, double>) {
      float* u = temporary(2, kPositions * t.ci * t.stride_panel);
      transform_weights(t, w.data<T>(), t.ci * 9, 9, false, u);
      convolve(t, x.data<T>(), u, bias.defined() ? bias.data<T>() : nullptr, y.data<T>());
    }
  });
}

void winograd_input_grad(const KernelCall& call) {
  const Tensor &gy = call.in[0], &w = call.in[1], &dx = call.out[0];
  const ConvGeometry g = conv_geometry(call.get<Conv2dInputGrad::Attrs>().window, dx, 3, 3, gy);
  const Tiling t = tiling(g, true);
  visit_float(gy.dtype(), "conv2d_input_grad", [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, double>) {
      float* u = temporary(2, kPositions * t.ci * t.stride_panel);
      transform_weights(t, w.data<T>(), 9, t.co * 9, true, u);
      convolve<T>(t, gy.data<T>(), u, nullptr, dx.data<T>());
    }
  });
}

void winograd_weight_grad(const KernelCall& call) {
  const Tensor &x = call.in[0], &gy = call.in[1];
  const ConvGeometry g = conv_geometry(call.get<Conv2dWeightGrad::Attrs>().window, x, 3, 3, gy);
  const Tiling t = tiling(g, false);
  visit_float(x.dtype(), "conv2d_weight_grad", [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (!std::is_same_v<T, double>)
      weight_gradient(t, x.data<T>(), gy.data<T>(), call.out[0].data<T>());
  });
}

}  // namespace tenon::TENON_TARGET

#endif
