#include "ops/loss/loss.h"

#include "core/simd/parallel.h"
#include "ops/loss/targets.h"
#include "ops/reduce/row_stats.h"
#include "ops/registry/cpu.h"

namespace tenon::TENON_TARGET {
namespace {

constexpr int64_t kGrain = 16384;  // elements a thread takes at least

// ---- cross entropy ----

template <class T>
element_of<T> row_sum(const T* x, int64_t n) {
  vec_for<T> sum(0);
  for (int64_t i = 0; i < n; i += sum.size) sum += load(x + i, n - i);
  return horizontal_sum(sum);
}

template <class T>
void cross_entropy_typed(const KernelCall& call) {
  using E = element_of<T>;  // also the dtype of loss and log-sums
  const auto& a = call.get<CrossEntropy::Attrs>();
  const int64_t rows = call.in[0].size(0), classes = call.in[0].size(1);
  const int64_t* target = call.in[1].data<int64_t>();
  const int64_t counted = counted_rows(call.in[1], classes, a.ignore_index);
  const T* x = call.in[0].data<T>();
  E* lse = call.out[1].data<E>();
  std::vector<E> losses;
  E* loss;
  if (a.reduction == Reduction::None) {
    loss = call.out[0].data<E>();
  } else {
    losses.resize(static_cast<size_t>(rows));
    loss = losses.data();
  }
  const E smooth = static_cast<E>(a.label_smoothing);
  parallel_for(rows, std::max<int64_t>(1, kGrain / classes), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const T* row = x + n * classes;
      lse[n] = row_stats(row, classes).logsumexp();
      loss[n] = 0;
      if (target[n] == a.ignore_index) continue;
      loss[n] = lse[n] - (1 - smooth) * static_cast<E>(row[target[n]]);
      if (smooth > 0) loss[n] -= smooth * (row_sum(row, classes) / static_cast<E>(classes));
    }
  });
  if (a.reduction == Reduction::None) return;
  double sum = 0;
  for (const E v : losses) sum += static_cast<double>(v);
  if (a.reduction == Reduction::Mean) sum /= static_cast<double>(std::max<int64_t>(counted, 1));
  *call.out[0].data<E>() = static_cast<E>(sum);
}

template <class T>
void cross_entropy_backward_typed(const KernelCall& call) {
  using V = vec_for<T>;
  using E = element_of<T>;
  const auto& a = call.get<CrossEntropy::Attrs>();
  const int64_t rows = call.in[1].size(0), classes = call.in[1].size(1);
  const int64_t* target = call.in[2].data<int64_t>();
  const int64_t counted = counted_rows(call.in[2], classes, a.ignore_index);
  const E* g = call.in[0].data<E>();
  const T* x = call.in[1].data<T>();
  const E* lse = call.in[3].data<E>();
  T* dx = call.out[0].data<T>();
  const E smooth = static_cast<E>(a.label_smoothing);
  parallel_for(rows, std::max<int64_t>(1, kGrain / classes), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const T* row = x + n * classes;
      T* to = dx + n * classes;
      E scale = g[a.reduction == Reduction::None ? n : 0];
      if (a.reduction == Reduction::Mean) scale /= static_cast<E>(std::max<int64_t>(counted, 1));
      if (target[n] == a.ignore_index) {
        std::fill(to, to + classes, T(E(0)));
        continue;
      }
      const E spread = smooth / static_cast<E>(classes);
      for (int64_t c = 0; c < classes; c += V::size)
        store((exp(load(row + c, classes - c) - V(lse[n])) - V(spread)) * V(scale), to + c,
              classes - c);
      const E p = math::exp(static_cast<E>(row[target[n]]) - lse[n]);
      to[target[n]] = T((p - (1 - smooth) - spread) * scale);
    }
  });
}

// Gradient and log-sums of another dtype than the kernel keeps them in take the plain loop.
const char* backward_accepts(const KernelCall& call) {
  const DType want = is_half(call.in[1].dtype()) ? DType::f32 : call.in[1].dtype();
  return call.in[0].dtype() == want ? nullptr : "the gradient's dtype is not the loss's";
}
const char* pair_backward_accepts(const KernelCall& call) {
  const auto& a = call.get<PairLoss::Attrs>();
  const DType x = call.in[1].dtype();
  const DType want = is_half(x) && a.reduction != Reduction::None ? DType::f32 : x;
  return call.in[0].dtype() == want ? nullptr : "the gradient's dtype is not the loss's";
}

// ---- element by element ----

template <class V>
TENON_INLINE V pair_value(LossKind kind, const V& x, const V& t, const V& beta) {
  using E = typename V::Element;
  const V d = x - t;
  if (kind == LossKind::Squared) return d * d;
  if (kind == LossKind::Absolute) return abs(d);
  const V half(E(0.5)), a = abs(d);
  if (kind == LossKind::SmoothAbs) return select(a < beta, half * d * d / beta, a - half * beta);
  return max(x, V(0)) - x * t + log1p(exp(-abs(x)));
}
template <class V>
TENON_INLINE V pair_slope(LossKind kind, const V& x, const V& t, const V& beta) {
  const V d = x - t, zero(0), one(1);
  if (kind == LossKind::Squared) return d + d;
  if (kind == LossKind::BceLogits) return sigmoid(x) - t;
  const V sign = select(d > zero, one, select(d < zero, -one, d));
  if (kind == LossKind::Absolute) return sign;
  return select(abs(d) < beta, d / beta, sign);
}

// The elements in pieces that lie in one leading index: piece(first element, length, index).
constexpr int64_t kPiece = 4096;
template <class Piece>
void each_piece(const Tensor& x, const Piece& piece) {
  if (x.numel() == 0) return;
  const int64_t rows = x.rank() > 0 ? x.size(0) : 1, row = x.numel() / rows;
  const int64_t pieces = (row + kPiece - 1) / kPiece;
  parallel_for(rows * pieces, std::max<int64_t>(1, kGrain / std::min(row, kPiece)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t i = begin; i < end; ++i) {
                   const int64_t at = i % pieces * kPiece;
                   piece(i, i / pieces * row + at, std::min(kPiece, row - at), i / pieces);
                 }
               });
}
int64_t piece_count(const Tensor& x) {
  if (x.numel() == 0) return 0;
  const int64_t rows = x.rank() > 0 ? x.size(0) : 1;
  return rows * ((x.numel() / rows + kPiece - 1) / kPiece);
}

template <class T>
void pair_loss_typed(const KernelCall& call) {
  using V = vec_for<T>;
  using E = element_of<T>;
  const auto& a = call.get<PairLoss::Attrs>();
  const Tensor& x = call.in[0];
  const T *xs = x.data<T>(), *ts = call.in[1].data<T>();
  const T* weight = call.in[2].defined() ? call.in[2].data<T>() : nullptr;
  const V beta(static_cast<E>(a.beta));
  const auto run = [&](int64_t at, int64_t n, const auto& use) {
    for (int64_t i = 0; i < n; i += V::size) {
      const V v = pair_value(a.kind, load(xs + at + i, n - i), load(ts + at + i, n - i), beta);
      use(i, n - i, v);
    }
  };
  if (a.reduction == Reduction::None) {
    T* y = call.out[0].data<T>();
    each_piece(x, [&](int64_t, int64_t at, int64_t n, int64_t row) {
      const V w(weight ? static_cast<E>(weight[row]) : E(1));
      run(at, n, [&](int64_t i, int64_t rest, const V& v) { store(v * w, y + at + i, rest); });
    });
    return;
  }
  std::vector<double> partial(static_cast<size_t>(piece_count(x)));
  each_piece(x, [&](int64_t piece, int64_t at, int64_t n, int64_t row) {
    V sum(0);
    run(at, n, [&](int64_t, int64_t rest, const V& v) {
      if (rest >= V::size) {
        sum += v;
      } else {  // lanes past the end hold the loss of 0 and 0
        E lane[V::size];
        store(v, lane);
        sum += load(static_cast<const E*>(lane), rest);
      }
    });
    partial[static_cast<size_t>(piece)] = static_cast<double>(horizontal_sum(sum)) *
                                          (weight ? static_cast<double>(E(weight[row])) : 1.0);
  });
  double total = 0;
  for (const double v : partial) total += v;
  if (a.reduction == Reduction::Mean) total /= static_cast<double>(x.numel());
  *call.out[0].data<E>() = static_cast<E>(total);
}

template <class T>
void pair_loss_backward_typed(const KernelCall& call) {
  using V = vec_for<T>;
  using E = element_of<T>;
  const auto& a = call.get<PairLoss::Attrs>();
  const Tensor& x = call.in[1];
  const T *xs = x.data<T>(), *ts = call.in[2].data<T>();
  const T* weight = call.in[3].defined() ? call.in[3].data<T>() : nullptr;
  T *dx = call.out[0].data<T>(), *dt = call.out[1].data<T>();
  const bool each = a.reduction == Reduction::None;
  const T* gs = each ? call.in[0].data<T>() : nullptr;
  E shared = each ? E(1) : *call.in[0].data<E>();
  if (a.reduction == Reduction::Mean) shared /= static_cast<E>(x.numel());
  const V beta(static_cast<E>(a.beta));
  each_piece(x, [&](int64_t, int64_t at, int64_t n, int64_t row) {
    const V scale(shared * (weight ? static_cast<E>(weight[row]) : E(1)));
    for (int64_t i = 0; i < n; i += V::size) {
      const int64_t k = at + i, rest = n - i;
      const V v = load(xs + k, rest);
      const V g = each ? load(gs + k, rest) * scale : scale;
      const V d = g * pair_slope(a.kind, v, load(ts + k, rest), beta);
      store(d, dx + k, rest);
      store(a.kind == LossKind::BceLogits ? -(g * v) : -d, dt + k, rest);
    }
  });
}

#define TENON_LOSS_RUN(fn, input)                                                   \
  void fn(const KernelCall& call) {                                                 \
    visit_float(call.in[input].dtype(), #fn,                                        \
                [&](auto tag) { fn##_typed<typename decltype(tag)::type>(call); }); \
  }
TENON_LOSS_RUN(cross_entropy, 0)
TENON_LOSS_RUN(cross_entropy_backward, 1)
TENON_LOSS_RUN(pair_loss, 0)
TENON_LOSS_RUN(pair_loss_backward, 1)
#undef TENON_LOSS_RUN

TENON_REGISTER_CPU(CrossEntropy, cross_entropy, nullptr);
TENON_REGISTER_CPU(CrossEntropyBackward, cross_entropy_backward, backward_accepts);
TENON_REGISTER_CPU(PairLoss, pair_loss, nullptr);
TENON_REGISTER_CPU(PairLossBackward, pair_loss_backward, pair_backward_accepts);

}  // namespace
}  // namespace tenon::TENON_TARGET
