// Decompositions of small dense matrices, batched over the leading axes. Computed in double by
// Eigen, whatever the type (f64 or f32; others are refused).
#pragma once

#include "ops/registry/op.h"

namespace tenon {

struct Eigh {
  struct Attrs {};
  static constexpr OpTraits traits{.name = "eigh",
                                   .outputs = 2,
                                   .saved_outputs = 0b11,
                                   .cost = Cost::Compute,
                                   .autocast = AutocastClass::F32,
                                   .differentiable = Differentiable::FirstOrder};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// Inputs: gradients of w and V (each may be undefined), w, V; output: gradient of x.
struct EighBackward {
  struct Attrs {};
  static constexpr OpTraits traits{.name = "eigh_backward",
                                   .inputs = 4,
                                   .optional_inputs = 0b11,
                                   .cost = Cost::Compute,
                                   .differentiable = Differentiable::None};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};

struct Svd {
  struct Attrs {};
  static constexpr OpTraits traits{.name = "svd",
                                   .outputs = 3,
                                   .cost = Cost::Compute,
                                   .autocast = AutocastClass::F32,
                                   .differentiable = Differentiable::None};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};

struct EighResult {
  Tensor values, vectors;
};
// The symmetric part of x [..., n, n] as V diag(w) V^T: w [..., n] rising, V [..., n, n] with
// orthonormal columns, the largest entry of each positive. The gradient of V exists only where the
// eigenvalues are distinct (it is not finite elsewhere). Values that are not finite: NonFinite.
EighResult eigh(const Tensor& x);

struct SvdResult {
  Tensor u, s, v;
};
// x [..., m, n] = U diag(s) V^T with k = min(m, n): U [..., m, k], s [..., k] falling, V [..., n,
// k], the largest entry of each column of U positive. No gradient.
SvdResult svd(const Tensor& x);

// The symmetric square root of a positive semidefinite x [..., n, n]; eigenvalues below 0 (from
// rounding) count as 0. No gradient at singular matrices.
Tensor matrix_sqrt_psd(const Tensor& x);

}  // namespace tenon
