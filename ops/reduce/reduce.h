// Sums over axes.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

// Sum over the given axes (none given = nothing is summed). With keepdim the axes stay with size 1.
struct Sum {
  struct Attrs {
    Dims axes;  // sorted, unique, in [0, rank)
    bool keepdim = false;
  };
  static constexpr OpTraits traits{.name = "sum",
                                   .cost = Cost::Memory,
                                   .autocast = AutocastClass::Follow,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

Tensor sum(const Tensor& x, Dims axes, bool keepdim = false);
Tensor sum(const Tensor& x);  // over everything: a 0-dim tensor
Tensor mean(const Tensor& x, Dims axes, bool keepdim = false);
Tensor mean(const Tensor& x);

// Axes of `dims` in [0, rank), sorted; throws Usage on a repeated one. For ops that reduce.
Dims normalise_axes(Dims axes, int64_t rank, const char* op);
// The shape after reducing x over axes.
Dims reduced_shape(const Dims& sizes, const Dims& axes, bool keepdim);
// Strides of the row-major result seen with x's sizes: 0 along the reduced axes.
Dims summed_strides(const Dims& sizes, const Dims& axes);

}  // namespace tenon
