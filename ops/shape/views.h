// Views: other shapes and orders of the same memory. No kernel runs.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

// Other sizes, same elements in row-major order; one size may be -1. A tensor whose memory cannot
// be seen that way is copied first.
Tensor reshape(const Tensor& x, Dims sizes);
// Axes [first, last] merged into one.
Tensor flatten(const Tensor& x, int64_t first = 0, int64_t last = -1);
// Output axis i is input axis order[i].
Tensor permute(const Tensor& x, Dims order);
Tensor transpose(const Tensor& x, int64_t dim0, int64_t dim1);
// Elements start, start + step, ... below stop along dim. Negative positions count from the end.
Tensor slice(const Tensor& x, int64_t dim, int64_t start, int64_t stop, int64_t step = 1);
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length);
// One position along dim; the axis goes away.
Tensor select(const Tensor& x, int64_t dim, int64_t index);
// Axes of size 1 read as the given sizes (broadcasting); may add axes in front.
Tensor expand(const Tensor& x, Dims sizes);
Tensor unsqueeze(const Tensor& x, int64_t dim);
Tensor squeeze(const Tensor& x, int64_t dim);

struct Reshape {
  struct Attrs {
    Dims sizes;
  };
  static constexpr OpTraits traits{.name = "reshape",
                                   .cost = Cost::Free,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static Tensor view(const Attrs& a, const Tensor& x);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

struct Permute {
  struct Attrs {
    Dims order;
  };
  static constexpr OpTraits traits{.name = "permute",
                                   .cost = Cost::Free,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static Tensor view(const Attrs& a, const Tensor& x);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

struct Slice {
  struct Attrs {
    int64_t dim, start, stop, step;
  };
  static constexpr OpTraits traits{.name = "slice",
                                   .cost = Cost::Free,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static Tensor view(const Attrs& a, const Tensor& x);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// The gradient of slice: zeros of `size` along dim, with x at start, start + step, ...
struct SliceScatter {
  struct Attrs {
    int64_t dim, start, step, size;
  };
  static constexpr OpTraits traits{.name = "slice_scatter",
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

struct Expand {
  struct Attrs {
    Dims sizes;
  };
  static constexpr OpTraits traits{.name = "expand",
                                   .cost = Cost::Free,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static Tensor view(const Attrs& a, const Tensor& x);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

}  // namespace tenon
