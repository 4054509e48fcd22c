// Choosing between two tensors element by element.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

// (cond, a, b): a where cond (bool), else b; the three broadcast. a and b have one dtype.
struct Where {
  struct Attrs {};
  static constexpr OpTraits traits{.name = "where",
                                   .inputs = 3,
                                   .saved_inputs = 0b001,
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

Tensor where(const Tensor& cond, const Tensor& a, const Tensor& b);
// value where mask, else x.
Tensor masked_fill(const Tensor& x, const Tensor& mask, double value);

}  // namespace tenon
