// Separable linear resampling of images: FIR up- and downsampling, interpolation, average pooling.
//
// All are the same op, y = R x C^T for each channel, with a sparse matrix per axis (AxisMap); they
// differ only in the weights. The gradient is the op with both matrices transposed, so it may be
// differentiated any number of times.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

// A sparse out x in matrix by rows: output o is the sum of weight[k] * input[index[k]] for k in
// [begin[o], begin[o + 1]).
struct AxisMap {
  int64_t in = 0;
  std::vector<int64_t> begin = {0};
  std::vector<int64_t> index;
  std::vector<double> weight;

  int64_t out() const { return static_cast<int64_t>(begin.size()) - 1; }
  void add(int64_t i, double w) {
    index.push_back(i);
    weight.push_back(w);
  }
  void end_row() { begin.push_back(static_cast<int64_t>(index.size())); }
};
using AxisMapPtr = std::shared_ptr<const AxisMap>;
AxisMapPtr transposed(const AxisMap& map);

// x [N, C, rows->in, cols->in] -> [N, C, rows->out(), cols->out()], row-major or channels-last.
struct Resample {
  struct Attrs {
    AxisMapPtr rows, cols;
  };
  static constexpr OpTraits traits{.name = "resample",
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Image};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// Filters each channel with K = outer(f, f) / sum(f)^2 (Karras et al., arXiv 2206.00364, as in the
// SongUNet code). down = 2: correlation with K, stride 2, `pad` zeros at each edge; H becomes
// floor((H + 2 pad - len) / 2) + 1. up = 2: transposed convolution with 4 K, stride 2, padding pad;
// H becomes 2 (H - 1) + len - 2 pad. One of up and down is 1; both 1 only filters. f = {1, 1},
// pad = 0 are the 2x2 mean and nearest-neighbour doubling. Refuses (Usage) taps that sum to 0 and
// empty results.
Tensor fir_resample(const Tensor& x, const std::vector<double>& taps, int64_t up, int64_t down,
                    int64_t pad);

enum class Interpolation { Nearest, Bilinear, Bicubic, Lanczos };

// x [N, C, H, W] to [N, C, out_h, out_w], pixel centres at half integers (align_corners = false).
// Without antialias as PyTorch: nearest takes floor(o H / out_h), bicubic has a = -0.75, borders
// are repeated. With antialias as Pillow: the filter is widened by the scale when shrinking, cut at
// the border and normalised, and bicubic has a = -0.5. Lanczos (3 lobes) is always that; nearest
// never.
Tensor interpolate(const Tensor& x, int64_t out_h, int64_t out_w, Interpolation mode,
                   bool antialias = false);

// Mean over kernel x kernel windows; H becomes floor((H + 2 padding - kernel) / stride) + 1. With
// count_include_pad the padded zeros count, else the mean is over real pixels. 0 <= padding <=
// kernel / 2. The global average is mean(x, {2, 3}).
Tensor avg_pool2d(const Tensor& x, int64_t kernel, int64_t stride, int64_t padding = 0,
                  bool count_include_pad = true);

}  // namespace tenon
