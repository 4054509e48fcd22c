// Pointwise ops of two inputs with broadcasting: y = f(a, b).
//
// As ops/pointwise/unary.h; the struct has value(a, b) and a backward made of ops:
//   static Tensor grad_a(const Tensor& g, const Tensor& a, const Tensor& b)
//   static Tensor grad_b(const Tensor& g, const Tensor& a, const Tensor& b)
// each in the broadcast shape; the caller sums them to the inputs' shapes. Optional members:
//   static constexpr bool ints = true: also defined on integers (value<int64_t>);
//   static constexpr bool compares = true: the result is bool and there is no gradient;
//   static constexpr bool linear = true: the gradients do not read a and b, which are not saved;
//   static constexpr bool symmetric = true: grad_a and grad_b are the same, computed once;
//   static constexpr double low, high, apart: as in unary.h.
#pragma once

#include <array>

#include "ops/pointwise/functions.h"
#include "ops/registry/op.h"

namespace tenon {

struct NoAttrs {};

Tensor apply_binary(const OpInfo& op, const Tensor& a, const Tensor& b);
// Sums x over the axes along which `shape` was broadcast to x's shape.
Tensor sum_to(const Tensor& x, const Dims& shape);

#ifndef TENON_REGISTER_BINARY
#define TENON_REGISTER_BINARY(Struct, fn)
#endif

#define TENON_BINARY(Struct, fn)                       \
  inline Tensor fn(const Tensor& a, const Tensor& b) { \
    static const OpInfo& op = detail::op_slot(#fn);    \
    return apply_binary(op, a, b);                     \
  }                                                    \
  TENON_REGISTER_BINARY(Struct, fn)

}  // namespace tenon
