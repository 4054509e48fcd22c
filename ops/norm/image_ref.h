// Slow access to tensors as double, for the references of this folder.
#pragma once

#include <algorithm>

#include "core/tensor/tensor.h"

namespace tenon {

// Element i of the memory of a floating tensor.
inline double ref_get(const Tensor& t, int64_t i) {
  return visit_float(t.dtype(), "reference", [&](auto tag) {
    return static_cast<double>(t.data<typename decltype(tag)::type>()[i]);
  });
}
inline void ref_put(const Tensor& t, int64_t i, double value) {
  visit_float(t.dtype(), "reference", [&](auto tag) {
    using T = typename decltype(tag)::type;
    t.data<T>()[i] = static_cast<T>(value);
  });
}
inline double ref_get_or(const Tensor& t, int64_t i, double otherwise) {
  return t.defined() ? ref_get(t, i) : otherwise;
}

// A tensor [N, C, ...], row-major or channels-last, by (n, channel, pixel).
struct ImageRef {
  const Tensor& t;
  int64_t batch, channels, pixels;
  explicit ImageRef(const Tensor& tensor)
      : t(tensor),
        batch(t.size(0)),
        channels(t.size(1)),
        pixels(t.numel() / std::max<int64_t>(batch * channels, 1)) {}
  int64_t at(int64_t n, int64_t c, int64_t p) const {
    return t.is_channels_last() ? (n * pixels + p) * channels + c : (n * channels + c) * pixels + p;
  }
  double operator()(int64_t n, int64_t c, int64_t p) const { return ref_get(t, at(n, c, p)); }
  void set(int64_t n, int64_t c, int64_t p, double value) const { ref_put(t, at(n, c, p), value); }
};

}  // namespace tenon
