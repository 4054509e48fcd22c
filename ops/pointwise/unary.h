// Pointwise ops of one input: y = f(x), element by element.
//
// An op is a header in ops/pointwise/fn/ (docs/add-an-op.md): a struct with value() and
// derivative() in namespace TENON_TARGET, and one macro. The build compiles these headers once per
// instruction set and once for the CUDA kernels; contract, gradient, vector code, all dtypes and
// tests follow.
//
//   namespace tenon::TENON_TARGET {
//   struct Silu {
//     template <class V> TENON_FN static V value(V x) { return x * sigmoid_(x); }
//     template <class V> TENON_FN static V derivative_x(V x) { ... }     // from the input, or
//     template <class V> TENON_FN static V derivative_y(V y) { ... }     // from the output
//   };
//   }
//   namespace tenon { TENON_UNARY(Silu, silu) }
//
// V is float, double or a vector of them; ops/pointwise/functions.h has exp_, select_, ... Optional
// members:
//   static constexpr int args = 1 or 2: numbers a, b are passed on: value(x, a, b), likewise the
//     derivatives, as scalars of V's element type;
//   static constexpr double low, high: the range of test inputs (default -1.5 .. 1.5);
//   static constexpr double apart: test inputs keep this distance from 0 (kinks);
//   static constexpr bool straight_through = true: derivative_x is not the true one by design, so
//     finite differences are not compared;
//   static constexpr double sample_a, sample_b: arguments of the test samples;
//   static Tensor derivative_graph(const Tensor& x or y, double a, double b): f' made of ops, which
//     makes the op differentiable any number of times.
#pragma once

#include "ops/pointwise/functions.h"
#include "ops/registry/op.h"

namespace tenon {

struct ScalarArgs {
  double a = 0, b = 0;
};

Tensor apply_unary(const OpInfo& op, const Tensor& x, ScalarArgs args);

// Defined by ops/pointwise/register.h in the generated files; elsewhere a header only declares.
#ifndef TENON_REGISTER_UNARY
#define TENON_REGISTER_UNARY(Struct, fn)
#endif

#define TENON_UNARY(Struct, fn)                     \
  inline Tensor fn(const Tensor& x) {               \
    static const OpInfo& op = detail::op_slot(#fn); \
    return apply_unary(op, x, {});                  \
  }                                                 \
  TENON_REGISTER_UNARY(Struct, fn)
#define TENON_UNARY_A(Struct, fn)                   \
  inline Tensor fn(const Tensor& x, double a) {     \
    static const OpInfo& op = detail::op_slot(#fn); \
    return apply_unary(op, x, {a, 0});              \
  }                                                 \
  TENON_REGISTER_UNARY(Struct, fn)
#define TENON_UNARY_AB(Struct, fn)                        \
  inline Tensor fn(const Tensor& x, double a, double b) { \
    static const OpInfo& op = detail::op_slot(#fn);       \
    return apply_unary(op, x, {a, b});                    \
  }                                                       \
  TENON_REGISTER_UNARY(Struct, fn)

}  // namespace tenon
