// Joining, splitting and padding.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

// Inputs of one dtype that agree in all sizes but that of dim, one after the other along dim.
// Channels-last if the first input is.
struct Concat {
  struct Attrs {
    int64_t dim;
  };
  static constexpr OpTraits traits{.name = "concat",
                                   .inputs = -1,
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// Along axis d: `before[d]` elements of `value`, then x, then `after[d]`; a negative amount cuts
// elements off instead.
struct Pad {
  struct Attrs {
    Dims before, after;
    double value = 0;
  };
  static constexpr OpTraits traits{.name = "pad",
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// dim may be negative.
Tensor concat(Inputs list, int64_t dim);
Tensor concat(std::initializer_list<Tensor> list, int64_t dim);
// Tensors of one shape along a new axis.
Tensor stack(Inputs list, int64_t dim);
// Views of the given sizes, which must add up to the size of dim.
TensorVec split(const Tensor& x, const Dims& sizes, int64_t dim);
// `count` views of equal size.
TensorVec chunk(const Tensor& x, int64_t count, int64_t dim);

// The amounts concern the last before.size() axes, in order of axes.
Tensor pad(const Tensor& x, Dims before, Dims after, double value = 0);
// As pad, with x mirrored at its edges without repeating them; amounts in [0, size of the axis).
Tensor pad_reflect(const Tensor& x, Dims before, Dims after);

}  // namespace tenon
