#include "ops/pointwise/binary.h"
#include "ops/pointwise/unary.h"
#include "ops/pointwise/walk.h"
#include "ops/reduce/reduce.h"
#include "ops/shape/views.h"

namespace tenon {

Tensor apply_unary(const OpInfo& op, const Tensor& x, ScalarArgs args) {
  return apply(op, &args, Inputs(&x, 1))[0];
}

Tensor apply_binary(const OpInfo& op, const Tensor& a, const Tensor& b) {
  const Tensor in[] = {a, b};
  const NoAttrs attrs;
  return apply(op, &attrs, in)[0];
}

Dims broadcast_shape(const Dims& a, const Dims& b, const char* op) {
  const size_t rank = std::max(a.size(), b.size());
  Dims out(rank, 1);
  const auto side = [&](const Dims& s) {
    const size_t pad = rank - s.size();
    for (size_t d = 0; d < s.size(); ++d) {
      if (s[d] == 1) continue;
      if (out[pad + d] != 1 && out[pad + d] != s[d]) [[unlikely]]
        throw_hint(ErrorKind::Usage, "shapes must match from the right, or be 1",
                   "{}: shapes {} and {} do not broadcast", op, to_string(a), to_string(b));
      out[pad + d] = s[d];
    }
  };
  side(a);
  side(b);
  return out;
}

Tensor sum_to(const Tensor& x, const Dims& shape) {
  if (x.sizes() == shape) return x;
  const size_t pad = x.sizes().size() - shape.size();
  Dims axes;
  for (size_t d = 0; d < x.sizes().size(); ++d)
    if (d < pad || (shape[d - pad] == 1 && x.sizes()[d] != 1))
      axes.push_back(static_cast<int64_t>(d));
  return reshape(sum(x, axes, true), shape);
}

}  // namespace tenon
