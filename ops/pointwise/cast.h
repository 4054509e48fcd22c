// Changes of element type and memory order.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

struct Cast {
  struct Attrs {
    DType dtype;
  };
  static constexpr OpTraits traits{.name = "cast",
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// x with each element converted: to nearest even between floats, toward zero from float to integer,
// (x != 0) to bool. x itself when it has the dtype already.
Tensor cast(const Tensor& x, DType dtype);

// The values of x in row-major (or channels-last) memory; x itself when it is so already.
Tensor contiguous(const Tensor& x);
Tensor channels_last(const Tensor& x);  // rank 4, else Usage

// Fills dst, any strides, with the values of src, any strides, same shape; converts the dtype. Not
// an op: records nothing.
void copy_values(const Tensor& src, const Tensor& dst);

}  // namespace tenon
