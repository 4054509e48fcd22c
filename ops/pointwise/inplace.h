// Arithmetic that changes a tensor in place; records nothing.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

// into += x, same shape and dtype, any strides.
struct AddInto {
  struct Attrs {};
  static constexpr OpTraits traits{.name = "add_into",
                                   .inputs = 2,
                                   .outputs = 0,
                                   .mutates = 0b1,
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::None,
                                   .layout = Layout::Any};
  static Metas infer(const Attrs&, Inputs in);
  static std::vector<Sample> samples();
};
inline void add_into(const Tensor& into, const Tensor& x) {
  apply<AddInto>({}, {into, x});
}

}  // namespace tenon
