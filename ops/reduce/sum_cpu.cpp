// Sums over any axes of memory of any order.
//
// The axes are put into memory order and merged (ops/pointwise/walk.h). Work is cut by shapes
// alone, and partial sums are added in order, so the result does not depend on the number of
// threads. Short stretches are summed in vectors of T, everything else in double.
#include <span>
#include <vector>

#include "core/simd/parallel.h"
#include "core/simd/vec.h"
#include "ops/pointwise/walk.h"
#include "ops/reduce/reduce.h"
#include "ops/registry/cpu.h"

namespace tenon::TENON_TARGET {
namespace {

constexpr int64_t kGrain = 32768;  // elements a thread takes at least

struct Axis {
  int64_t n, xs, os;  // size, stride in x, stride in the output (0 = summed)
};
using Axes = std::span<const Axis>;

template <class T>
double row_sum(const T* x, int64_t n) {
  using V = vec_for<T>;
  constexpr int64_t W = V::size, kStretch = 4096;
  double total = 0;
  while (n > 0) {
    const int64_t m = std::min(n, kStretch);
    V a(0), b(0), c(0), d(0);
    int64_t i = 0;
    for (; i + 4 * W <= m; i += 4 * W) {
      a += load(x + i);
      b += load(x + i + W);
      c += load(x + i + 2 * W);
      d += load(x + i + 3 * W);
    }
    for (; i < m; i += W) a += load(x + i, m - i);
    total += static_cast<double>(horizontal_sum((a + b) + (c + d)));
    x += m;
    n -= m;
  }
  return total;
}

// acc[c] += sum over rows of x[row * step + c].
template <class T>
void column_sum(const T* x, int64_t rows, int64_t step, int64_t columns, double* acc) {
  using V = vec_for<T>;
  constexpr int64_t W = V::size, kRows = 128;
  for (int64_t r0 = 0; r0 < rows; r0 += kRows) {
    const int64_t r1 = std::min(rows, r0 + kRows);
    int64_t c = 0;
    const auto add = [&](const V& v, int64_t at, int64_t n) {
      typename V::Element lane[W];
      store(v, lane);
      for (int64_t i = 0; i < n; ++i) acc[at + i] += static_cast<double>(lane[i]);
    };
    for (; c + 4 * W <= columns; c += 4 * W) {
      V v0(0), v1(0), v2(0), v3(0);
      for (int64_t r = r0; r < r1; ++r) {
        const T* p = x + r * step + c;
        v0 += load(p);
        v1 += load(p + W);
        v2 += load(p + 2 * W);
        v3 += load(p + 3 * W);
      }
      add(v0, c, W);
      add(v1, c + W, W);
      add(v2, c + 2 * W, W);
      add(v3, c + 3 * W, W);
    }
    for (; c < columns; c += W) {
      const int64_t n = std::min(W, columns - c);
      V v(0);
      for (int64_t r = r0; r < r1; ++r) v += load(x + r * step + c, n);
      add(v, c, n);
    }
  }
}

// acc += sums of the axes, on this thread.
template <class T>
void sum_here(Axes axes, const T* x, double* acc) {
  if (axes.empty()) {
    *acc += static_cast<double>(*x);
    return;
  }
  const Axis& a = axes[0];
  if (axes.size() == 1 && a.xs == 1) {
    if (a.os == 0)
      *acc += row_sum(x, a.n);
    else
      column_sum(x, 1, 0, a.n, acc);
  } else if (axes.size() == 1) {
    for (int64_t i = 0; i < a.n; ++i) acc[i * a.os] += static_cast<double>(x[i * a.xs]);
  } else if (axes.size() == 2 && a.os == 0 && axes[1].xs == 1 && axes[1].os == 1) {
    column_sum(x, a.n, a.xs, axes[1].n, acc);
  } else {
    for (int64_t i = 0; i < a.n; ++i) sum_here(axes.subspan(1), x + i * a.xs, acc + i * a.os);
  }
}

int64_t count(Axes axes) {
  int64_t n = 1;
  for (const Axis& a : axes) n *= a.n;
  return n;
}

// acc[0 .. kept) += sums of the axes, on all threads.
template <class T>
void sum_parallel(Axes axes, const T* x, double* acc, int64_t kept) {
  const int64_t total = count(axes);
  if (axes.empty() || total <= 2 * kGrain) return sum_here(axes, x, acc);
  const Axis& a = axes[0];
  if (axes.size() == 1 && a.os != 0) return sum_here(axes, x, acc);
  const Axes rest = axes.subspan(1);
  if (a.os != 0) {
    if (a.n >= 8)
      return parallel_for(a.n, std::max<int64_t>(1, kGrain * a.n / total),
                          [&](int64_t begin, int64_t end) {
                            for (int64_t i = begin; i < end; ++i)
                              sum_here(rest, x + i * a.xs, acc + i * a.os);
                          });
    for (int64_t i = 0; i < a.n; ++i) sum_parallel(rest, x + i * a.xs, acc + i * a.os, kept / a.n);
    return;
  }
  // The partial sums take at most a quarter of the work.
  const int64_t pieces = std::min({a.n, int64_t{32}, total / kGrain, total / (4 * kept)});
  if (pieces < 2) {
    if (rest.size() == 1 && rest[0].xs == 1 && rest[0].os == 1)
      return parallel_for(rest[0].n, std::max<int64_t>(64, kGrain / a.n),
                          [&](int64_t begin, int64_t end) {
                            column_sum(x + begin, a.n, a.xs, end - begin, acc + begin);
                          });
    for (int64_t i = 0; i < a.n; ++i) sum_parallel(rest, x + i * a.xs, acc, kept);
    return;
  }
  const int64_t step = (a.n + pieces - 1) / pieces;
  std::vector<double> partial(static_cast<size_t>(pieces * kept));
  parallel_for(pieces, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::vector<Axis> part(axes.begin(), axes.end());
      part[0].n = std::min(a.n, (i + 1) * step) - i * step;
      if (part[0].n > 0) sum_here<T>(part, x + i * step * a.xs, partial.data() + i * kept);
    }
  });
  for (int64_t i = 0; i < pieces; ++i)
    for (int64_t k = 0; k < kept; ++k) acc[k] += partial[static_cast<size_t>(i * kept + k)];
}

template <class T>
void sum_typed(const Tensor& x, const Dims& out_strides, const Tensor& out) {
  const Walk<2> walk(x.sizes(), {x.strides(), out_strides});
  std::vector<double> acc(static_cast<size_t>(out.numel()));
  if (x.numel() > 0) {
    std::vector<Axis> axes;
    for (size_t d = 0; d < walk.sizes.size(); ++d)
      axes.push_back({walk.sizes[d], walk.strides[0][d], walk.strides[1][d]});
    if (walk.inner > 1) axes.push_back({walk.inner, walk.inner_stride[0], walk.inner_stride[1]});
    sum_parallel<T>(axes, x.data<T>(), acc.data(), out.numel());
  }
  using E = typename vec_for<T>::Element;
  T* y = out.data<T>();
  for (size_t i = 0; i < acc.size(); ++i) y[i] = static_cast<T>(static_cast<E>(acc[i]));
}

void sum_cpu(const KernelCall& call) {
  const auto& a = call.get<Sum::Attrs>();
  visit_float(call.in[0].dtype(), "sum", [&](auto tag) {
    sum_typed<typename decltype(tag)::type>(call.in[0], summed_strides(call.in[0].sizes(), a.axes),
                                            call.out[0]);
  });
}
const char* sum_accepts(const KernelCall& call) {
  return is_float(call.in[0].dtype()) ? nullptr : "integers take the plain loop";
}
TENON_REGISTER_CPU(Sum, sum_cpu, sum_accepts);

}  // namespace
}  // namespace tenon::TENON_TARGET
