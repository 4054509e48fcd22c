// What plain references share: tensors as rows of double, and a shape seen around one axis.
#pragma once

#include <vector>

#include "ops/pointwise/cast.h"
#include "ops/registry/op.h"

namespace tenon {

// Values in row-major order.
inline std::vector<double> doubles(const Tensor& t) {
  return t.to_vector<double>();
}
// Writes row-major values into memory of any dtype and order.
inline void fill(const Tensor& out, const std::vector<double>& values) {
  copy_values(Tensor::from(values, out.sizes()), out);
}
inline void fill(const Tensor& out, const std::vector<int64_t>& values) {
  copy_values(Tensor::from(values, out.sizes()), out);
}

// A row-major shape as [outer, n, inner], n being the size of axis dim.
struct Around {
  int64_t outer = 1, n = 1, inner = 1;
  Around(const Dims& sizes, int64_t dim) : n(sizes[static_cast<size_t>(dim)]) {
    for (size_t d = 0; d < sizes.size(); ++d) {
      if (static_cast<int64_t>(d) < dim) outer *= sizes[d];
      if (static_cast<int64_t>(d) > dim) inner *= sizes[d];
    }
  }
};

// The check of an axis in an infer function.
inline void check_dim(int64_t dim, const Tensor& x, const char* op) {
  check(dim >= 0 && dim < x.rank(), ErrorKind::Usage, "{}: dim {} of {}", op, dim, x.describe());
}
// The check of dtypes in an infer function.
inline void check_float(const Tensor& x, const char* op) {
  check(is_float(x.dtype()), ErrorKind::Usage,
        "{}: dtype {} is not supported, want f64, f32, bf16 or f16", op, dtype_name(x.dtype()));
}
inline void check_same_sizes(const Tensor& a, const Tensor& b, const char* op) {
  check(a.sizes() == b.sizes(), ErrorKind::Usage, "{}: {} with {}, want one shape", op,
        a.describe(), b.describe());
}

}  // namespace tenon
