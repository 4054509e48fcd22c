// Blocks of kQueries x kKeys scores; products by gemm on the thread that owns the block.
#include "core/simd/parallel.h"
#include "ops/attention/geometry.h"
#include "ops/linear/gemm.h"
#include "ops/pointwise/cast.h"
#include "ops/reduce/row_stats.h"
#include "ops/registry/cpu.h"

namespace tenon::TENON_TARGET {
namespace {

// The scores of a block stay in the second-level cache, and the products are long enough for gemm.
constexpr int64_t kQueries = 64, kKeys = 256;

// t itself, or its values as E: 2-byte types are computed in float.
template <class E>
Tensor as(const Tensor& t) {
  if (t.dtype() == dtype_of<E>) return t;
  Tensor wide = Tensor::empty(t.sizes(), dtype_of<E>);
  copy_values(t, wide);
  return wide;
}
template <class E>
Tensor result(const Tensor& t) {
  return t.dtype() == dtype_of<E> ? t : Tensor::empty(t.sizes(), dtype_of<E>);
}

// c = alpha op(a) op(b) + beta c on row-major tiles, b (and a) rows being `k` or as given by ld.
template <class E>
void product(bool ta, bool tb, int64_t m, int64_t n, int64_t k, double alpha, const E* a,
             int64_t lda, const E* b, int64_t ldb, double beta, E* c, int64_t ldc) {
  Gemm<E> g;
  g.trans_a = ta;
  g.trans_b = tb;
  g.m = m;
  g.n = n;
  g.k = k;
  g.a = a;
  g.lda = lda;
  g.b = b;
  g.ldb = ldb;
  g.c = c;
  g.ldc = ldc;
  g.alpha = alpha;
  g.beta = beta;
  gemm(g);
}

// The columns of a block of keys [first, first + n) that a query sees.
TENON_INLINE KeyRange columns(const KeyRange& seen, int64_t first, int64_t n) {
  const int64_t begin = std::clamp<int64_t>(seen.begin - first, 0, n);
  return {begin, std::max(begin, std::clamp<int64_t>(seen.end - first, 0, n))};
}
template <class E>
TENON_INLINE void clear_unseen(E* row, const KeyRange& seen, int64_t n) {
  std::fill(row, row + seen.begin, E(0));
  std::fill(row + seen.end, row + n, E(0));
}

// row[i] = exp(row[i] - shift) over the visible columns; returns their sum.
template <class E>
TENON_INLINE E exponentials(E* row, const KeyRange& seen, E shift) {
  using V = vec_for<E>;
  constexpr E lowest = -std::numeric_limits<E>::infinity();
  V sum(0);
  int64_t i = seen.begin;
  for (; i + V::size <= seen.end; i += V::size) {
    const V p = exp(load(row + i) - V(shift));
    sum += p;
    store(p, row + i);
  }
  if (i < seen.end) {
    const V p = exp(load_or(row + i, seen.end - i, lowest) - V(shift));
    sum += p;
    store(p, row + i, seen.end - i);
  }
  return horizontal_sum(sum);
}
template <class E>
TENON_INLINE E largest(const E* row, const KeyRange& seen) {
  using V = vec_for<E>;
  constexpr E lowest = -std::numeric_limits<E>::infinity();
  V top(lowest);
  for (int64_t i = seen.begin; i < seen.end; i += V::size)
    top = max(top, load_or(row + i, seen.end - i, lowest));
  return horizontal_max(top);
}
template <class E>
TENON_INLINE void scale_row(E* row, int64_t n, E factor) {
  using V = vec_for<E>;
  for (int64_t i = 0; i < n; i += V::size) store(load(row + i, n - i) * V(factor), row + i, n - i);
}

template <class E>
void forward(const KernelCall& call) {
  const AttentionGeometry p(call.get<AttentionAttrs>(), call.in[0], call.in[1], call.in[3]);
  const Tensor q = as<E>(call.in[0]), k = as<E>(call.in[1]), v = as<E>(call.in[2]);
  const Tensor out = result<E>(call.out[0]);
  E* statistics = call.out[1].defined() ? call.out[1].data<E>() : nullptr;
  const int64_t blocks = (p.queries + kQueries - 1) / kQueries;
  parallel_for(p.batch * p.heads * blocks, 1, [&](int64_t begin, int64_t end) {
    std::vector<E> scores(static_cast<size_t>(kQueries * std::min(kKeys, p.keys)));
    for (int64_t job = begin; job < end; ++job) {
      const int64_t head = job / blocks, first = job % blocks * kQueries;
      const int64_t rows = std::min(kQueries, p.queries - first);
      const int64_t kv = head / p.heads * p.kv_heads + head % p.heads / p.group();
      const E* pq = q.data<E>() + (head * p.queries + first) * p.dim;
      E* po = out.data<E>() + (head * p.queries + first) * p.dim;
      E top[kQueries], sum[kQueries];
      std::fill(top, top + rows, -std::numeric_limits<E>::infinity());
      std::fill(sum, sum + rows, E(0));
      std::fill(po, po + rows * p.dim, E(0));
      const KeyRange all = p.seen(first, first + rows);
      for (int64_t j = all.begin; j < all.end; j += kKeys) {
        const int64_t n = std::min(kKeys, all.end - j);
        const int64_t at = (kv * p.keys + j) * p.dim;
        product(false, true, rows, n, p.dim, p.scale, pq, p.dim, k.data<E>() + at, p.dim, 0,
                scores.data(), n);
        for (int64_t i = 0; i < rows; ++i) {
          E* row = scores.data() + i * n;
          const KeyRange seen = columns(p.visible[static_cast<size_t>(first + i)], j, n);
          clear_unseen(row, seen, n);
          if (seen.begin == seen.end) continue;
          const E shift = math::max(top[i], largest(row, seen));
          const E old = math::exp(top[i] - shift);
          sum[i] = sum[i] * old + exponentials(row, seen, shift);
          if (old != 1) scale_row(po + i * p.dim, p.dim, old);
          top[i] = shift;
        }
        product(false, false, rows, p.dim, n, 1, scores.data(), n, v.data<E>() + at, p.dim, 1, po,
                p.dim);
      }
      for (int64_t i = 0; i < rows; ++i) {
        if (sum[i] != 0) scale_row(po + i * p.dim, p.dim, 1 / sum[i]);
        if (statistics) statistics[head * p.queries + first + i] = top[i] + math::log(sum[i]);
      }
    }
  });
  if (!out.same(call.out[0])) copy_values(out, call.out[0]);
}

// One thread owns a key head: its sums are made in one order.
template <class E>
void backward(const KernelCall& call) {
  using V = vec_for<E>;
  const AttentionGeometry p(call.get<AttentionAttrs>(), call.in[1], call.in[2], call.in[6]);
  const Tensor g = as<E>(call.in[0]), q = as<E>(call.in[1]), k = as<E>(call.in[2]),
               v = as<E>(call.in[3]), o = as<E>(call.in[4]), lse = as<E>(call.in[5]);
  const Tensor dq = result<E>(call.out[0]), dk = result<E>(call.out[1]),
               dv = result<E>(call.out[2]);
  const int64_t d = p.dim;
  parallel_for(p.batch * p.kv_heads, 1, [&](int64_t begin, int64_t end) {
    const auto tile = static_cast<size_t>(kQueries * std::min(kKeys, p.keys));
    std::vector<E> weights(tile), slopes(tile);
    for (int64_t kv = begin; kv < end; ++kv) {
      std::fill_n(dk.data<E>() + kv * p.keys * d, p.keys * d, E(0));
      std::fill_n(dv.data<E>() + kv * p.keys * d, p.keys * d, E(0));
      const int64_t head0 = kv / p.kv_heads * p.heads + kv % p.kv_heads * p.group();
      for (int64_t head = head0; head < head0 + p.group(); ++head)
        for (int64_t first = 0; first < p.queries; first += kQueries) {
          const int64_t rows = std::min(kQueries, p.queries - first);
          const int64_t at_q = (head * p.queries + first) * d;
          const E *pq = q.data<E>() + at_q, *pg = g.data<E>() + at_q, *po = o.data<E>() + at_q;
          const E* shift = lse.data<E>() + head * p.queries + first;
          E* pdq = dq.data<E>() + at_q;
          std::fill_n(pdq, rows * d, E(0));
          E delta[kQueries];
          for (int64_t i = 0; i < rows; ++i) {
            V sum(0);
            for (int64_t c = 0; c < d; c += V::size)
              sum = fma(load(pg + i * d + c, d - c), load(po + i * d + c, d - c), sum);
            delta[i] = horizontal_sum(sum);
          }
          const KeyRange all = p.seen(first, first + rows);
          for (int64_t j = all.begin; j < all.end; j += kKeys) {
            const int64_t n = std::min(kKeys, all.end - j), at = (kv * p.keys + j) * d;
            const E *pk = k.data<E>() + at, *pv = v.data<E>() + at;
            E *w = weights.data(), *s = slopes.data();
            product(false, true, rows, n, d, p.scale, pq, d, pk, d, 0, w, n);
            product(false, true, rows, n, d, 1, pg, d, pv, d, 0, s, n);
            for (int64_t i = 0; i < rows; ++i) {
              const KeyRange seen = columns(p.visible[static_cast<size_t>(first + i)], j, n);
              exponentials(w + i * n, seen, shift[i]);
              clear_unseen(w + i * n, seen, n);
              for (int64_t c = 0; c < n; c += V::size)
                store(load(w + i * n + c, n - c) * (load(s + i * n + c, n - c) - V(delta[i])),
                      s + i * n + c, n - c);
            }
            product(true, false, n, d, rows, 1, w, n, pg, d, 1, dv.data<E>() + at, d);
            product(true, false, n, d, rows, p.scale, s, n, pq, d, 1, dk.data<E>() + at, d);
            product(false, false, rows, d, n, p.scale, s, n, pk, d, 1, pdq, d);
          }
        }
    }
  });
  const Tensor* made[] = {&dq, &dk, &dv};
  for (size_t i = 0; i < 3; ++i)
    if (!made[i]->same(call.out[i])) copy_values(*made[i], call.out[i]);
}

void attention_cpu(const KernelCall& call) {
  call.in[0].dtype() == DType::f64 ? forward<double>(call) : forward<float>(call);
}
TENON_REGISTER_CPU(Attention, attention_cpu, nullptr);

void attention_backward_cpu(const KernelCall& call) {
  call.in[0].dtype() == DType::f64 ? backward<double>(call) : backward<float>(call);
}
TENON_REGISTER_CPU(AttentionBackward, attention_backward_cpu, nullptr);

}  // namespace
}  // namespace tenon::TENON_TARGET
