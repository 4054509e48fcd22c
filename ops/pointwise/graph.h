// Ops that gradients of pointwise ops are made of. The headers in ops/pointwise/fn/ call these
// instead of including each other, so that the build compiles the loops of each op once per target.
#pragma once

#include "core/tensor/tensor.h"

namespace tenon::graph {

Tensor mul(const Tensor& a, const Tensor& b);
Tensor neg(const Tensor& x);
Tensor reciprocal(const Tensor& x);
Tensor affine(const Tensor& x, double a, double b);
Tensor square(const Tensor& x);
Tensor sigmoid(const Tensor& x);
Tensor pow(const Tensor& x, double a);
Tensor cast(const Tensor& x, DType dtype);
Tensor ge(const Tensor& a, const Tensor& b);
Tensor gt(const Tensor& a, const Tensor& b);
Tensor le(const Tensor& a, const Tensor& b);
Tensor lt(const Tensor& a, const Tensor& b);

}  // namespace tenon::graph
