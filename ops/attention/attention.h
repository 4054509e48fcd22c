// Scaled dot-product attention (Vaswani et al., arXiv 1706.03762), in blocks: the Tq x Tk matrix is
// never stored (Dao, FlashAttention-2, arXiv 2307.08691). Softmax and sums are in f32 (f64 for
// f64). For backward only the inputs, the output and one number a query are kept.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

struct AttentionAttrs {
  bool causal = false;
  double scale = 0;  // 0 = 1 / sqrt(D)
};

// q [B, H, Tq, D], k and v [B, Hkv, Tk, D], H a multiple of Hkv (query head h reads head
// h / (H / Hkv)), offsets i64 [S + 1] or undefined -> o [B, H, Tq, D]; extra: log sum exp of the
// scores [B, H, Tq].
//
// causal: query i sees keys up to i + Tk - Tq (the last query sees all), Tk >= Tq. offsets =
// {0, ..., T}: sequences packed end to end, the same in each batch row; a position sees only its
// own sequence, and Tq = Tk = T. Both may be combined. Without any key (Tk = 0) the output is 0.
struct Attention {
  using Attrs = AttentionAttrs;
  static constexpr OpTraits traits{.name = "attention",
                                   .inputs = 4,
                                   .optional_inputs = 0b1000,
                                   .extras = 1,
                                   .saved_inputs = 0b1111,
                                   .saved_outputs = 0b11,
                                   .cost = Cost::Compute,
                                   .autocast = AutocastClass::Bf16,
                                   .differentiable = Differentiable::FirstOrder};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// Inputs: g, q, k, v, o, log sum exp, offsets; outputs dq, dk, dv. Sums are in a fixed order.
struct AttentionBackward {
  using Attrs = AttentionAttrs;
  static constexpr OpTraits traits{.name = "attention_backward",
                                   .inputs = 7,
                                   .optional_inputs = 0b1000000,
                                   .outputs = 3,
                                   .mixed_dtype = 0b100000,
                                   .cost = Cost::Compute,
                                   .differentiable = Differentiable::None};
  static Metas infer(const Attrs& a, Inputs in);
  static std::vector<Sample> samples();
};

inline Tensor attention(const Tensor& q, const Tensor& k, const Tensor& v,
                        const AttentionAttrs& attrs = {}, const Tensor& offsets = {}) {
  return apply<Attention>(attrs, {q, k, v, offsets})[0];
}

}  // namespace tenon
