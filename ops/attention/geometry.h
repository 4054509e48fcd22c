// An attention problem in plain numbers, and which keys a query sees.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/attention/attention.h"

namespace tenon {

// Every mask here lets a query see one interval of keys, [begin, end).
struct KeyRange {
  int64_t begin, end;
};

struct AttentionGeometry {
  int64_t batch, heads, kv_heads, queries, keys, dim;
  double scale;
  std::vector<KeyRange> visible;  // of each query

  AttentionGeometry(const AttentionAttrs& a, const Tensor& q, const Tensor& k,
                    const Tensor& offsets)
      : batch(q.size(0)),
        heads(q.size(1)),
        kv_heads(k.size(1)),
        queries(q.size(2)),
        keys(k.size(2)),
        dim(q.size(3)),
        scale(a.scale != 0 ? a.scale : 1 / std::sqrt(static_cast<double>(dim))),
        visible(static_cast<size_t>(queries), KeyRange{0, keys}) {
    if (offsets.defined()) {
      const auto cuts = offsets.to_vector<int64_t>();
      for (size_t s = 0; s + 1 < cuts.size(); ++s)
        for (int64_t i = cuts[s]; i < cuts[s + 1]; ++i)
          visible[static_cast<size_t>(i)] = {cuts[s], cuts[s + 1]};
    }
    if (a.causal)
      for (int64_t i = 0; i < queries; ++i) {
        KeyRange& range = visible[static_cast<size_t>(i)];
        range.end = std::min(range.end, i + keys - queries + 1);
      }
  }
  int64_t group() const { return heads / kv_heads; }  // query heads that share a key head
  // All that queries [begin, end) see together.
  KeyRange seen(int64_t begin, int64_t end) const {
    KeyRange all{keys, 0};
    for (int64_t i = begin; i < end; ++i) {
      all.begin = std::min(all.begin, visible[static_cast<size_t>(i)].begin);
      all.end = std::max(all.end, visible[static_cast<size_t>(i)].end);
    }
    return all;
  }
};

}  // namespace tenon
