// Random tensors and dropout, as pure functions of a key (core/base/rng.h): the same bits whatever
// the thread count, instruction set or device.
#pragma once

#include "core/base/rng.h"
#include "ops/registry/op.h"

namespace tenon {

// Element i of row r is number i of the stream (key, r): word i % 4 of key.block(i / 4, r).
// Without `rows` the whole tensor is row 0. With rows (i64 [N], N the size of axis 0) the part at
// position n of axis 0 is row rows[n], so a sample keeps its values when a batch is split or
// reordered.
// Uniform: [0, 1) with 24 bits. Normal: words 0 and 1, and words 2 and 3, make a pair each
// (normal_pair). Values are made in f32 and then converted, so f64 has the values of f32.
template <bool Normal>
struct RandomOp {
  struct Attrs {
    Dims sizes;
    RngKey key;
    DType dtype = DType::f32;
    Device device = {};
  };
  static constexpr OpTraits traits{.name = Normal ? "random_normal" : "random_uniform",
                                   .inputs = 1,
                                   .optional_inputs = 0b1,
                                   .cost = Cost::Compute,
                                   .differentiable = Differentiable::None};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};
using RandomUniform = RandomOp<false>;
using RandomNormal = RandomOp<true>;

// x / (1 - p) where the uniform number of the element is at least p, else 0. Elements are numbered
// in row-major or channels-last order, as channels_last says. The gradient is the op itself on the
// gradient, with the same key: no mask is kept.
struct Dropout {
  struct Attrs {
    double p;
    RngKey key;
    bool channels_last = false;
  };
  static constexpr OpTraits traits{.name = "dropout",
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::AnyOrder,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

Tensor random_uniform(Dims sizes, RngKey key, DType dtype = DType::f32, Device device = {},
                      const Tensor& rows = {});
Tensor random_normal(Dims sizes, RngKey key, DType dtype = DType::f32, Device device = {},
                     const Tensor& rows = {});
// 1 with probability p, else 0.
Tensor bernoulli(Dims sizes, double p, RngKey key, DType dtype = DType::f32, Device device = {});
// The numbers 0 .. n - 1 (i64) in random order.
Tensor randperm(int64_t n, RngKey key);
// 0 <= p < 1; p = 0 gives x itself. Elements are numbered in x's memory order.
Tensor dropout(const Tensor& x, double p, RngKey key);

}  // namespace tenon
