#include "ops/reduce/softmax.h"

#include "core/simd/parallel.h"
#include "ops/reduce/row_stats.h"
#include "ops/registry/cpu.h"
#include "ops/registry/plain.h"

namespace tenon::TENON_TARGET {
namespace {

constexpr int64_t kGrain = 16384;  // elements a thread takes at least

enum class Result { Softmax, Log, LogSumExp };

template <class T>
void softmax_row(const T* x, T* y, int64_t n, Result result) {
  using V = vec_for<T>;
  const auto stats = row_stats(x, n);
  if (result == Result::LogSumExp) {
    *y = static_cast<T>(stats.logsumexp());
  } else if (result == Result::Log) {
    const V lse(stats.logsumexp());
    for (int64_t i = 0; i < n; i += V::size) store(load(x + i, n - i) - lse, y + i, n - i);
  } else {
    const V shift(stats.shift), scale(1 / stats.sum);
    for (int64_t i = 0; i < n; i += V::size)
      store(exp(load(x + i, n - i) - shift) * scale, y + i, n - i);
  }
}

// `lanes` neighbouring lines whose elements are `step` apart, one in each lane.
template <class T>
void softmax_lines(const T* x, T* y, int64_t n, int64_t step, int64_t lanes, Result result) {
  using V = vec_for<T>;
  using E = element_of<T>;
  V top(-std::numeric_limits<E>::infinity()), sum(0);
  for (int64_t k = 0; k < n; ++k) top = max(top, load(x + k * step, lanes));
  const V shift = select(top - top == V(0), top, V(0));
  for (int64_t k = 0; k < n; ++k) sum += exp(load(x + k * step, lanes) - shift);
  if (result == Result::Softmax) {
    const V scale = V(1) / sum;
    for (int64_t k = 0; k < n; ++k)
      store(exp(load(x + k * step, lanes) - shift) * scale, y + k * step, lanes);
    return;
  }
  const V lse = shift + log(sum);
  if (result == Result::LogSumExp) return store(lse, y, lanes);
  for (int64_t k = 0; k < n; ++k) store(load(x + k * step, lanes) - lse, y + k * step, lanes);
}

template <class T>
void backward_row(const T* g, const T* y, T* dx, int64_t n, bool log) {
  using V = vec_for<T>;
  V acc(0);
  for (int64_t i = 0; i < n; i += V::size)
    acc += log ? load(g + i, n - i) : load(g + i, n - i) * load(y + i, n - i);
  const V sum(horizontal_sum(acc));
  for (int64_t i = 0; i < n; i += V::size) {
    const V a = load(g + i, n - i), b = load(y + i, n - i);
    store(log ? a - exp(b) * sum : b * (a - sum), dx + i, n - i);
  }
}

template <class T>
void backward_lines(const T* g, const T* y, T* dx, int64_t n, int64_t step, int64_t lanes,
                    bool log) {
  using V = vec_for<T>;
  V sum(0);
  for (int64_t k = 0; k < n; ++k) {
    const V a = load(g + k * step, lanes);
    sum += log ? a : a * load(y + k * step, lanes);
  }
  for (int64_t k = 0; k < n; ++k) {
    const V a = load(g + k * step, lanes), b = load(y + k * step, lanes);
    store(log ? a - exp(b) * sum : b * (a - sum), dx + k * step, lanes);
  }
}

// row(at) for contiguous lines, lines(at, line, lanes) for `lanes` lines side by side, the first
// of which starts at `at` and is number `line`.
template <class Row, class Lines>
void each(const Around& a, int64_t width, const Row& row, const Lines& lines) {
  if (a.n == 0) return;
  if (a.inner == 1)
    return parallel_for(a.outer, std::max<int64_t>(1, kGrain / a.n),
                        [&](int64_t begin, int64_t end) {
                          for (int64_t o = begin; o < end; ++o) row(o);
                        });
  const int64_t blocks = (a.inner + width - 1) / width;
  parallel_for(a.outer * blocks, std::max<int64_t>(1, kGrain / (a.n * width)),
               [&](int64_t begin, int64_t end) {
                 for (int64_t job = begin; job < end; ++job) {
                   const int64_t o = job / blocks, i = job % blocks * width;
                   lines(o, i, std::min(width, a.inner - i));
                 }
               });
}

template <class Op, Result result>
void softmax_cpu(const KernelCall& call) {
  const Tensor& x = call.in[0];
  const Around a(x.sizes(), call.get<typename Op::Attrs>().dim);
  if (a.n == 0 && result == Result::LogSumExp)
    return fill(call.out[0],
                std::vector<double>(static_cast<size_t>(call.out[0].numel()), -INFINITY));
  const int64_t out_step = result == Result::LogSumExp ? 1 : a.n;
  visit_float(x.dtype(), Op::traits.name, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T* p = x.data<T>();
    T* y = call.out[0].data<T>();
    each(
        a, vec_for<T>::size,
        [&](int64_t o) { softmax_row(p + o * a.n, y + o * out_step, a.n, result); },
        [&](int64_t o, int64_t i, int64_t lanes) {
          softmax_lines(p + o * a.n * a.inner + i, y + o * out_step * a.inner + i, a.n, a.inner,
                        lanes, result);
        });
  });
}

template <class Op, bool Log>
void softmax_backward_cpu(const KernelCall& call) {
  const Tensor& y = call.in[1];
  const Around a(y.sizes(), call.get<typename Op::Attrs>().dim);
  visit_float(y.dtype(), Op::traits.name, [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T *g = call.in[0].data<T>(), *p = y.data<T>();
    T* dx = call.out[0].data<T>();
    each(
        a, vec_for<T>::size,
        [&](int64_t o) {
          const int64_t at = o * a.n;
          backward_row(g + at, p + at, dx + at, a.n, Log);
        },
        [&](int64_t o, int64_t i, int64_t lanes) {
          const int64_t at = o * a.n * a.inner + i;
          backward_lines(g + at, p + at, dx + at, a.n, a.inner, lanes, Log);
        });
  });
}

TENON_REGISTER_CPU(Softmax, (softmax_cpu<Softmax, Result::Softmax>), nullptr);
TENON_REGISTER_CPU(LogSoftmax, (softmax_cpu<LogSoftmax, Result::Log>), nullptr);
TENON_REGISTER_CPU(LogSumExp, (softmax_cpu<LogSumExp, Result::LogSumExp>), nullptr);
TENON_REGISTER_CPU(SoftmaxBackward, (softmax_backward_cpu<SoftmaxBackward, false>), nullptr);
TENON_REGISTER_CPU(LogSoftmaxBackward, (softmax_backward_cpu<LogSoftmaxBackward, true>), nullptr);

}  // namespace
}  // namespace tenon::TENON_TARGET
