// Picking elements by index tensors (i64), and the sums that are their gradients. An index outside
// the axis is a Usage error that names the op, the position and the value.
#pragma once

#include "ops/registry/op.h"

namespace tenon {

// (x, index [K]): y[.., k, ..] = x[.., index[k], ..] along dim.
struct IndexSelect {
  struct Attrs {
    int64_t dim;
    const char* caller = "index_select";  // what errors call it; a literal
  };
  static constexpr OpTraits traits{.name = "index_select",
                                   .inputs = 2,
                                   .saved_inputs = 0b10,
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::AnyOrder};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// (x, index [K]), x having size K along dim: zeros of `size` along dim, to which x[.., k, ..] is
// added at index[k]. Repeated indices are summed in order of k, so the result is always the same.
struct IndexAdd {
  struct Attrs {
    int64_t dim, size;
  };
  static constexpr OpTraits traits{.name = "index_add",
                                   .inputs = 2,
                                   .saved_inputs = 0b10,
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::AnyOrder};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// (x, index): y[i][j][k] = x[i][index[i][j][k]][k] for dim 1, likewise for other axes and ranks.
// index has x's rank and, away from dim, at most its sizes.
struct Gather {
  struct Attrs {
    int64_t dim;
  };
  static constexpr OpTraits traits{.name = "gather",
                                   .inputs = 2,
                                   .saved_inputs = 0b10,
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::AnyOrder};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// (x, index, src): x with src[i][j][k] added at [i][index[i][j][k]][k]; src and index of one shape.
// Sums in row-major order of src.
struct ScatterAdd {
  struct Attrs {
    int64_t dim;
  };
  static constexpr OpTraits traits{.name = "scatter_add",
                                   .inputs = 3,
                                   .saved_inputs = 0b010,
                                   .cost = Cost::Memory,
                                   .differentiable = Differentiable::AnyOrder};
  static Metas infer(const Attrs& a, Inputs in);
  static TensorVec backward(const Attrs& a, const BackwardArgs& g);
  static std::vector<Sample> samples();
};

// dim may be negative.
Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index);
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index);
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src);
// Rows of weight [V, D]: ids of any shape -> ids' shape + [D].
Tensor embedding(const Tensor& weight, const Tensor& ids);
// 1 at the position ids[..] of a new last axis of `classes`, 0 elsewhere.
Tensor one_hot(const Tensor& ids, int64_t classes, DType dtype = DType::f32);

}  // namespace tenon
