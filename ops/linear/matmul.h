// Matrix products of tensors, and the linear layer.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

// op(a) op(b) on the last two axes, op(x) = x or its transpose; the axes before them broadcast.
// a [..., m, k] (or [..., k, m] with trans_a), b [..., k, n] (or [..., n, k]) -> [..., m, n].
// Sums are kept in f32 for the 2-byte types.
struct Matmul {
  struct Attrs {
    bool trans_a = false, trans_b = false;
  };
  static constexpr OpTraits traits{.name = "matmul",
                                   .inputs = 2,
                                   .saved_inputs = 0b11,
                                   .cost = Cost::Compute,
                                   .autocast = AutocastClass::Bf16,
                                   .differentiable = Differentiable::AnyOrder};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// a b, both of rank 2 or more. A transposed view of row-major memory (transpose(x, -1, -2)) is not
// copied.
Tensor matmul(const Tensor& a, const Tensor& b);
Tensor matmul(const Tensor& a, const Tensor& b, bool trans_a, bool trans_b);

// x w^T + bias: x [..., in], w [out, in], bias [out] or undefined -> [..., out].
struct Linear {
  struct Attrs {};
  static constexpr OpTraits traits{.name = "linear",
                                   .inputs = 3,
                                   .optional_inputs = 0b100,
                                   .saved_inputs = 0b011,
                                   .cost = Cost::Compute,
                                   .autocast = AutocastClass::Bf16,
                                   .differentiable = Differentiable::AnyOrder};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

enum class Activation : uint8_t { None, Relu, Silu, Gelu };

// activation(x w^T + bias); bias may be undefined.
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias = {},
              Activation activation = Activation::None);

// How the leading axes of two matrices pair up: for each matrix of the result, which matrix of a
// and of b it is made of.
struct MatmulBatch {
  Dims sizes;           // leading axes of the result
  int64_t count = 1;    // product of sizes
  Dims step_a, step_b;  // matrices to go on by along each axis; 0 where broadcast
  std::pair<int64_t, int64_t> at(int64_t index) const;
};
MatmulBatch matmul_batch(const Tensor& a, const Tensor& b);

}  // namespace tenon
