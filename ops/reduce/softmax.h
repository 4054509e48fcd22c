// Softmax and its relatives along one axis.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

// Log = false: y = exp(x) / sum exp(x) along dim. Log = true: y = x - log sum exp(x).
// Any shape of rank 1 or more; computed in f32 for the 2-byte types. An axis of -inf only gives
// NaN, as the quotient 0 / 0 is.
template <bool Log>
struct SoftmaxOp {
  struct Attrs {
    int64_t dim;
  };
  static constexpr OpTraits traits{.name = Log ? "log_softmax" : "softmax",
                                   .saved_outputs = 0b1,
                                   .cost = Cost::Memory,
                                   .autocast = AutocastClass::F32,
                                   .differentiable = Differentiable::AnyOrder};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};
using Softmax = SoftmaxOp<false>;
using LogSoftmax = SoftmaxOp<true>;

// Of (grad, y): y (grad - sum(grad y)), or grad - exp(y) sum(grad) with Log.
template <bool Log>
struct SoftmaxBackwardOp {
  using Attrs = typename SoftmaxOp<Log>::Attrs;
  static constexpr OpTraits traits{.name = Log ? "log_softmax_backward" : "softmax_backward",
                                   .inputs = 2,
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::None};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};
using SoftmaxBackward = SoftmaxBackwardOp<false>;
using LogSoftmaxBackward = SoftmaxBackwardOp<true>;

// log sum exp(x) along dim, which goes away. -inf for an axis of -inf only.
struct LogSumExp {
  struct Attrs {
    int64_t dim;
  };
  static constexpr OpTraits traits{.name = "logsumexp",
                                   .saved_inputs = 0b1,
                                   .saved_outputs = 0b1,
                                   .cost = Cost::Memory,
                                   .autocast = AutocastClass::F32,
                                   .differentiable = Differentiable::AnyOrder};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// dim may be negative.
Tensor softmax(const Tensor& x, int64_t dim);
Tensor log_softmax(const Tensor& x, int64_t dim);
Tensor logsumexp(const Tensor& x, int64_t dim, bool keepdim = false);

}  // namespace tenon
