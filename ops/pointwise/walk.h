// Walking several strided operands of one shape together.
#pragma once

#include <algorithm>
#include <array>

#include "core/base/small_vec.h"
#include "core/tensor/tensor.h"

namespace tenon {

// The positions of K operands over one (broadcast) shape, with the axes reordered so that operand 0
// is walked in memory order and axes that are one stretch in all operands merged. The innermost
// axis is `inner` long; the others are counted by `outer`. An empty shape has outer = 0.
template <int K>
struct Walk {
  int64_t inner = 1, outer = 1;
  std::array<int64_t, K> inner_stride{};
  Dims sizes;  // outer axes, slowest first
  std::array<Dims, K> strides;

  // strides[k] must already be 0 along broadcast axes.
  Walk(const Dims& shape, const std::array<Dims, K>& given) {
    SmallVec<int64_t, 6> axes;
    for (size_t d = 0; d < shape.size(); ++d) {
      if (shape[d] == 0) {
        outer = 0;
        inner = 0;
        return;
      }
      if (shape[d] != 1) axes.push_back(static_cast<int64_t>(d));
    }
    std::stable_sort(axes.begin(), axes.end(), [&](int64_t a, int64_t b) {
      for (int k = 0; k < K; ++k)  // the first operand that tells the axes apart decides
        if (given[k][a] != given[k][b]) return given[k][a] > given[k][b];
      return false;
    });
    for (const int64_t axis : axes) {
      const auto d = static_cast<size_t>(axis);
      bool merges = !sizes.empty();
      for (int k = 0; k < K && merges; ++k) merges = strides[k].back() == given[k][d] * shape[d];
      if (merges) {
        sizes.back() *= shape[d];
        for (int k = 0; k < K; ++k) strides[k].back() = given[k][d];
      } else {
        sizes.push_back(shape[d]);
        for (int k = 0; k < K; ++k) strides[k].push_back(given[k][d]);
      }
    }
    if (!sizes.empty()) {
      inner = sizes.back();
      sizes.pop_back();
      for (int k = 0; k < K; ++k) {
        inner_stride[k] = strides[k].back();
        strides[k].pop_back();
      }
    }
    for (const int64_t s : sizes) outer *= s;
  }

  // Calls f(offsets) for outer positions [begin, end); offsets are in elements.
  template <class F>
  void each(int64_t begin, int64_t end, F&& f) const {
    if (begin >= end) return;
    const size_t rank = sizes.size();
    Dims index(rank);
    std::array<int64_t, K> at{};
    int64_t rest = begin;
    for (size_t d = rank; d-- > 0;) {
      index[d] = rest % sizes[d];
      rest /= sizes[d];
      for (int k = 0; k < K; ++k) at[k] += index[d] * strides[k][d];
    }
    for (int64_t i = begin; i < end; ++i) {
      f(at);
      for (size_t d = rank; d-- > 0;) {
        for (int k = 0; k < K; ++k) at[k] += strides[k][d];
        if (++index[d] < sizes[d]) break;
        for (int k = 0; k < K; ++k) at[k] -= strides[k][d] * sizes[d];
        index[d] = 0;
      }
    }
  }
};

// The strides with which t is read as a tensor of `shape`: 0 along axes that broadcasting adds.
inline Dims broadcast_strides(const Tensor& t, const Dims& shape) {
  Dims out(shape.size());
  const size_t pad = shape.size() - t.sizes().size();
  for (size_t d = 0; d < t.sizes().size(); ++d)
    out[pad + d] = t.sizes()[d] == 1 ? 0 : t.strides()[d];
  return out;
}

// The shape that a and b broadcast to (NumPy's rule); throws Usage naming the op.
Dims broadcast_shape(const Dims& a, const Dims& b, const char* op);

}  // namespace tenon
