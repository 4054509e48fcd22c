// Sorting along an axis, and what follows from it.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

// Values in order along dim, and their positions (i64) in x. Stable: equal values keep their order.
// NaN counts as the largest.
struct Sort {
  struct Attrs {
    int64_t dim;
    bool descending = false;
  };
  static constexpr OpTraits traits{.name = "sort",
                                   .outputs = 2,
                                   .saved_outputs = 0b10,
                                   .cost = Cost::Compute,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// How many elements are infinite or NaN: an i64 scalar.
struct NonfiniteCount {
  struct Attrs {};
  static constexpr OpTraits traits{.name = "nonfinite_count",
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::None,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};

struct Sorted {
  Tensor values, indices;
};
// dim may be negative.
Sorted sort(const Tensor& x, int64_t dim, bool descending = false);
// The k largest along dim, largest first.
Sorted topk(const Tensor& x, int64_t k, int64_t dim);
// The value at position q (n - 1) of the sorted axis, linear between neighbours; 0 <= q <= 1. The
// axis goes away.
Tensor quantile(const Tensor& x, double q, int64_t dim);
Tensor nonfinite_count(const Tensor& x);
bool all_finite(const Tensor& x);

}  // namespace tenon
