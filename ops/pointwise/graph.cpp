#include "ops/pointwise/graph.h"

#include "ops/ops.h"

namespace tenon::graph {

Tensor mul(const Tensor& a, const Tensor& b) {
  return tenon::mul(a, b);
}
Tensor neg(const Tensor& x) {
  return tenon::neg(x);
}
Tensor reciprocal(const Tensor& x) {
  return tenon::reciprocal(x);
}
Tensor affine(const Tensor& x, double a, double b) {
  return tenon::affine(x, a, b);
}
Tensor square(const Tensor& x) {
  return tenon::square(x);
}
Tensor sigmoid(const Tensor& x) {
  return tenon::sigmoid(x);
}
Tensor pow(const Tensor& x, double a) {
  return tenon::pow(x, a);
}
Tensor cast(const Tensor& x, DType dtype) {
  return tenon::cast(x, dtype);
}
// Comparisons are masks: no gradient goes through them.
Tensor ge(const Tensor& a, const Tensor& b) {
  return tenon::ge(a.detach(), b.detach());
}
Tensor gt(const Tensor& a, const Tensor& b) {
  return tenon::gt(a.detach(), b.detach());
}
Tensor le(const Tensor& a, const Tensor& b) {
  return tenon::le(a.detach(), b.detach());
}
Tensor lt(const Tensor& a, const Tensor& b) {
  return tenon::lt(a.detach(), b.detach());
}

}  // namespace tenon::graph
