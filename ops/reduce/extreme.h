// Largest and smallest values, running sums, and statistics made of ops.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

// Max = true: the largest value over the given axes, else the smallest; NaN if there is one. The
// gradient is shared equally among ties. Refuses axes without elements.
template <bool Max>
struct Extreme {
  struct Attrs {
    Dims axes;  // sorted, unique, in [0, rank)
    bool keepdim = false;
  };
  static constexpr OpTraits traits{.name = Max ? "amax" : "amin",
                                   .saved_inputs = 0b1,
                                   .saved_outputs = 0b1,
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};
using Amax = Extreme<true>;
using Amin = Extreme<false>;

// Position (i64) of the first largest value along dim, which goes away; NaN counts as the largest.
struct Argmax {
  struct Attrs {
    int64_t dim;
  };
  static constexpr OpTraits traits{.name = "argmax",
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::None,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};

// y[k] = x[0] + ... + x[k] along dim; with reverse, x[k] + ... + x[n - 1].
struct Cumsum {
  struct Attrs {
    int64_t dim;
    bool reverse = false;
  };
  static constexpr OpTraits traits{.name = "cumsum",
                                   .cost = Cost::Memory,
                                   .autocast = AutocastClass::F32,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// Axes and dim may be negative; without axes, over everything.
Tensor amax(const Tensor& x, Dims axes, bool keepdim = false);
Tensor amax(const Tensor& x);
Tensor amin(const Tensor& x, Dims axes, bool keepdim = false);
Tensor amin(const Tensor& x);
Tensor argmax(const Tensor& x, int64_t dim);
Tensor cumsum(const Tensor& x, int64_t dim, bool reverse = false);
// sum (x - mean)^2 / (n - correction) over the axes.
Tensor var(const Tensor& x, Dims axes, bool keepdim = false, int64_t correction = 1);
// sqrt(sum x^2) over the axes; without axes, over everything.
Tensor norm2(const Tensor& x, Dims axes, bool keepdim = false);
Tensor norm2(const Tensor& x);

}  // namespace tenon
