// Row after row: first the rows of the input are combined into one (in cache), then its pixels.
#include "core/simd/parallel.h"
#include "core/simd/vec.h"
#include "ops/image/resample.h"
#include "ops/registry/cpu.h"

namespace tenon::TENON_TARGET {
namespace {

constexpr int64_t kGrain = 16384;    // elements a thread takes at least
constexpr int64_t kFewChannels = 8;  // fewer are not worth a vector

// The entries of one output position with the weights in the type of the computation.
template <class E>
struct Axis {
  const AxisMap& map;
  std::vector<E> weight;
  explicit Axis(const AxisMap& m) : map(m), weight(m.weight.begin(), m.weight.end()) {}
  size_t begin(int64_t o) const { return static_cast<size_t>(map.begin[static_cast<size_t>(o)]); }
  int64_t count(int64_t o) const {
    return map.begin[static_cast<size_t>(o) + 1] - map.begin[static_cast<size_t>(o)];
  }
};

// y[i] = sum over k of w[k] * x[index[k] * step + i], i < n; K = count where it is small.
template <int K, class In, class Out, class E>
TENON_INLINE void combine_k(const In* x, const int64_t* index, int64_t step, const E* w,
                            int64_t count, Out* y, int64_t n) {
  using V = vec_for<In>;
  const In* from[K ? K : 1];
  for (int k = 0; k < K; ++k) from[k] = x + index[k] * step;
  for (int64_t i = 0; i < n; i += V::size) {
    V sum(0);
    if constexpr (K > 0) {
      for (int k = 0; k < K; ++k) sum = fma(load(from[k] + i, n - i), V(w[k]), sum);
    } else {
      for (int64_t k = 0; k < count; ++k)
        sum = fma(load(x + index[k] * step + i, n - i), V(w[k]), sum);
    }
    store(sum, y + i, n - i);
  }
}

template <class In, class Out, class E>
__attribute__((noinline)) void combine(const In* x, const int64_t* index, int64_t step, const E* w,
                                       int64_t count, Out* y, int64_t n) {
  switch (count) {
    case 1:
      return combine_k<1>(x, index, step, w, count, y, n);
    case 2:
      return combine_k<2>(x, index, step, w, count, y, n);
    default:
      return combine_k<0>(x, index, step, w, count, y, n);
  }
}

// For few channels: the sums of a whole row at once, entry k of each element side by side, short
// ones filled up with weight 0.
template <class E>
struct Table {
  int64_t rows = 0, width = 0;  // none with many channels
  std::vector<int32_t> index;
  std::vector<E> weight;

  Table(const Axis<E>& axis, int64_t channels) {
    if (channels >= kFewChannels) return;
    const int64_t out = axis.map.out();
    width = out * channels;
    for (int64_t o = 0; o < out; ++o) rows = std::max(rows, axis.count(o));
    rows = std::max<int64_t>(rows, 1);
    index.resize(static_cast<size_t>(rows * width));
    weight.resize(index.size());
    for (int64_t j = 0; j < width; ++j)
      for (int64_t k = 0; k < axis.count(j / channels); ++k) {
        const size_t from = axis.begin(j / channels) + static_cast<size_t>(k);
        const auto at = static_cast<size_t>(k * width + j);
        index[at] = static_cast<int32_t>(axis.map.index[from] * channels + j % channels);
        weight[at] = axis.weight[from];
      }
  }
  __attribute__((noinline)) void apply(const E* __restrict line, E* __restrict y) const {
    std::fill(y, y + width, E(0));
    for (int64_t k = 0; k < rows; ++k) {
      const int32_t* __restrict i = index.data() + k * width;
      const E* __restrict w = weight.data() + k * width;
      for (int64_t j = 0; j < width; ++j) y[j] += w[j] * line[i[j]];
    }
  }
};

template <class T>
void resample_planes(const Tensor& x, const Tensor& y, const Resample::Attrs& a, int64_t planes,
                     int64_t channels) {
  using E = typename vec_for<T>::Element;
  const Axis<E> rows(*a.rows), cols(*a.cols);
  const int64_t h = a.rows->in, out_h = a.rows->out(), out_w = a.cols->out();
  const int64_t in_row = a.cols->in * channels, out_row = out_w * channels;
  const Table<E> table(cols, channels);
  parallel_for(planes * out_h,
               std::max<int64_t>(1, kGrain / std::max<int64_t>(in_row + out_row, 1)),
               [&](int64_t begin, int64_t end) {
                 std::vector<E> buffer(static_cast<size_t>(in_row)),
                     sums(static_cast<size_t>(table.rows ? out_row : 0));
                 for (int64_t job = begin; job < end; ++job) {
                   const int64_t plane = job / out_h, oy = job % out_h;
                   const T* from = x.data<T>() + plane * h * in_row;
                   T* to = y.data<T>() + job * out_row;
                   const size_t r = rows.begin(oy);
                   const E* line = buffer.data();
                   bool direct = false;
                   if constexpr (std::is_same_v<T, E>) {
                     direct = rows.count(oy) == 1 && rows.weight[r] == 1;
                     if (direct) line = from + rows.map.index[r] * in_row;
                   }
                   if (!direct)
                     combine(from, rows.map.index.data() + r, in_row, rows.weight.data() + r,
                             rows.count(oy), buffer.data(), in_row);
                   if (table.rows == 0) {
                     for (int64_t ox = 0; ox < out_w; ++ox) {
                       const size_t c = cols.begin(ox);
                       combine(line, cols.map.index.data() + c, channels, cols.weight.data() + c,
                               cols.count(ox), to + ox * channels, channels);
                     }
                   } else {
                     table.apply(line, sums.data());
                     std::copy(sums.begin(), sums.end(), to);
                   }
                 }
               });
}

void resample_cpu(const KernelCall& call) {
  const Tensor &x = call.in[0], &y = call.out[0];
  if (y.numel() == 0) return;
  const bool last = x.is_channels_last();
  const int64_t planes = last ? x.size(0) : x.size(0) * x.size(1);
  visit_float(x.dtype(), Resample::traits.name, [&](auto tag) {
    resample_planes<typename decltype(tag)::type>(x, y, call.get<Resample::Attrs>(), planes,
                                                  last ? x.size(1) : 1);
  });
}
TENON_REGISTER_CPU(Resample, resample_cpu, nullptr);

}  // namespace
}  // namespace tenon::TENON_TARGET
