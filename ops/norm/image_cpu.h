// Loops over one image, shared by the norms over channels.
//
// Both memory orders run through the same loops over an image of `outer` rows of `inner` elements:
// channels-last has a row per pixel and coefficients that change along the row, row-major a row per
// channel and one coefficient for all of it.
#pragma once

#include <algorithm>
#include <type_traits>
#include <vector>

#include "core/simd/math.h"
#include "core/tensor/tensor.h"
#include "ops/norm/dropout_cpu.h"

namespace tenon::TENON_TARGET {

inline constexpr int64_t kFlush = 64;  // rows after which float sums go to double

// A tensor of `count` parameters in the computing type, or the constant where it is undefined.
template <class C>
std::vector<C> read_parameters(const Tensor& t, int64_t count, double otherwise) {
  std::vector<C> out(static_cast<size_t>(count), static_cast<C>(otherwise));
  if (t.defined())
    visit_float(t.dtype(), "norm", [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (int64_t i = 0; i < count; i++)
        out[static_cast<size_t>(i)] = static_cast<C>(t.data<T>()[i]);
    });
  return out;
}

inline void write_parameters(const Tensor& t, const std::vector<double>& values) {
  visit_float(t.dtype(), "norm", [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t i = 0; i < t.numel(); i++)
      t.data<T>()[i] = static_cast<T>(values[static_cast<size_t>(i)]);
  });
}

// An image of C channels and its two memory orders.
struct ImageShape {
  bool channels_last = false;
  int64_t channels = 0, pixels = 0;
  int64_t outer = 0, inner = 0;  // rows, and elements of a row
  int64_t padded = 0;            // channels up to a whole number of vectors
  ImageShape(const Tensor& x, int lanes)
      : channels_last(x.is_channels_last()),
        channels(x.size(1)),
        pixels(x.numel() / std::max<int64_t>(x.size(0) * channels, 1)),
        outer(channels_last ? pixels : channels),
        inner(channels_last ? channels : pixels),
        padded((channels + lanes - 1) / lanes * lanes) {}
  int64_t size() const { return channels * pixels; }
  // Images that make a piece of work for a thread.
  int64_t grain() const { return std::max<int64_t>(1, 16384 / std::max<int64_t>(size(), 1)); }
};

template <class V, class T>
TENON_INLINE V load_some(const T* p, int64_t left) {
  return left >= V::size ? load(p) : load(p, left);
}
template <class V, class T>
TENON_INLINE void store_some(const V& v, T* p, int64_t left) {
  if (left >= V::size)
    store(v, p);
  else
    store(v, p, left);
}

// Coefficients of a vector of elements: along the row (channels-last) or one for the row.
template <bool kChannelsLast, class V, class C = typename V::Element>
TENON_INLINE V coefficient(const C* of, int64_t row, int64_t i) {
  if constexpr (kChannelsLast)
    return load(of + i);
  else
    return V(of[row]);
}

// Mean and sum of squared deviations of each channel of an image. Sums are of x - x(first pixel),
// so that a large mean does not cancel.
template <class T>
void channel_statistics(const ImageShape& p, const T* x, double* mean, double* squares) {
  using V = vec_for<T>;
  using C = typename V::Element;
  const double count = static_cast<double>(p.pixels);
  const auto finish = [&](int64_t c, double pivot, double sum, double sum2) {
    mean[c] = pivot + sum / count;
    squares[c] = std::max(0.0, sum2 - sum * sum / count);
  };
  if (!p.channels_last) {
    for (int64_t c = 0; c < p.channels; c++) {
      const T* row = x + c * p.pixels;
      const C pivot = static_cast<C>(row[0]);
      double sum = 0, sum2 = 0;
      for (int64_t begin = 0; begin < p.pixels; begin += kFlush * V::size) {
        const int64_t end = std::min(p.pixels, begin + kFlush * V::size);
        V s(C(0)), q(C(0));
        int64_t i = begin;
        for (; i + V::size <= end; i += V::size) {
          const V d = load(row + i) - pivot;
          s += d;
          q = fma(d, d, q);
        }
        sum += static_cast<double>(horizontal_sum(s));
        sum2 += static_cast<double>(horizontal_sum(q));
        for (; i < end; i++) {
          const double d = static_cast<double>(static_cast<C>(row[i]) - pivot);
          sum += d;
          sum2 += d * d;
        }
      }
      finish(c, static_cast<double>(pivot), sum, sum2);
    }
    return;
  }
  std::vector<C> work(static_cast<size_t>(3 * p.padded));
  C *pivot = work.data(), *s = pivot + p.padded, *q = s + p.padded;
  std::vector<double> sums(static_cast<size_t>(2 * p.channels));
  for (int64_t c = 0; c < p.channels; c++) pivot[c] = static_cast<C>(x[c]);
  for (int64_t begin = 0; begin < p.pixels; begin += kFlush) {
    const int64_t end = std::min(p.pixels, begin + kFlush);
    std::fill(s, s + 2 * p.padded, C(0));
    for (int64_t row = begin; row < end; row++)
      for (int64_t c = 0; c < p.channels; c += V::size) {
        const V d = load_some<V>(x + row * p.channels + c, p.channels - c) - load(pivot + c);
        store(load(s + c) + d, s + c);
        store(fma(d, d, load(q + c)), q + c);
      }
    for (int64_t c = 0; c < p.channels; c++) {
      sums[static_cast<size_t>(2 * c)] += static_cast<double>(s[c]);
      sums[static_cast<size_t>(2 * c + 1)] += static_cast<double>(q[c]);
    }
  }
  for (int64_t c = 0; c < p.channels; c++)
    finish(c, static_cast<double>(pivot[c]), sums[static_cast<size_t>(2 * c)],
           sums[static_cast<size_t>(2 * c + 1)]);
}

// y = dropout(silu(a x + b)) over an image.
template <bool kChannelsLast, bool kSilu, bool kDropout, class T, class C>
void apply_image(const ImageShape& p, int64_t n, const C* a, const C* b, const T* x, T* y,
                 DropoutMask& mask) {
  using V = vec_for<T>;
  for (int64_t row = 0; row < p.outer; row++) {
    const float* factor = nullptr;
    if constexpr (kDropout) factor = mask.row(static_cast<uint64_t>(n), row);
    const T* from = x + row * p.inner;
    T* to = y + row * p.inner;
    for (int64_t i = 0; i < p.inner; i += V::size) {
      const int64_t left = p.inner - i;
      V z = fma(load_some<V>(from + i, left), coefficient<kChannelsLast, V>(a, row, i),
                coefficient<kChannelsLast, V>(b, row, i));
      if constexpr (kSilu) z *= sigmoid(z);
      if constexpr (kDropout) z *= mask.template load<V>(factor, i);
      store_some(z, to + i, left);
    }
  }
}

// Calls f with the three switches as compile-time constants.
template <class F>
void with_switches(bool channels_last, bool silu, bool dropout, F&& f) {
  using Yes = std::true_type;
  using No = std::false_type;
  const auto third = [&](auto first, auto second) {
    dropout ? f(first, second, Yes{}) : f(first, second, No{});
  };
  const auto second = [&](auto first) { silu ? third(first, Yes{}) : third(first, No{}); };
  channels_last ? second(Yes{}) : second(No{});
}

// Sums over the pixels of an image, per channel.
struct ChannelSums {
  std::vector<double> dz, dz_x, x;
  explicit ChannelSums(int64_t channels)
      : dz(static_cast<size_t>(channels)), dz_x(dz.size()), x(dz.size()) {}
};

// dz, the gradient of z = a x + b, into `out` (in the computing type), and its sums.
template <bool kChannelsLast, bool kSilu, bool kDropout, class T, class C>
void gradient_image(const ImageShape& p, int64_t n, const C* a, const C* b, const T* g, const T* x,
                    C* out, C* work, ChannelSums& sums, DropoutMask& mask) {
  using V = vec_for<T>;
  C *s = work, *sx = s + p.padded, *xs = sx + p.padded;  // float sums, channels-last only
  const auto flush = [&] {
    for (size_t c = 0; c < sums.dz.size(); c++) {
      sums.dz[c] += static_cast<double>(s[c]);
      sums.dz_x[c] += static_cast<double>(sx[c]);
      sums.x[c] += static_cast<double>(xs[c]);
    }
    std::fill(work, work + 3 * p.padded, C(0));
  };
  std::fill(sums.dz.begin(), sums.dz.end(), 0.0);
  std::fill(sums.dz_x.begin(), sums.dz_x.end(), 0.0);
  std::fill(sums.x.begin(), sums.x.end(), 0.0);
  if constexpr (kChannelsLast) std::fill(work, work + 3 * p.padded, C(0));
  for (int64_t row = 0; row < p.outer; row++) {
    const float* factor = nullptr;
    if constexpr (kDropout) factor = mask.row(static_cast<uint64_t>(n), row);
    const T *gr = g + row * p.inner, *xr = x + row * p.inner;
    C* to = out + row * p.inner;
    V row_s(C(0)), row_sx(C(0)), row_x(C(0));
    for (int64_t i = 0; i < p.inner; i += V::size) {
      const int64_t left = p.inner - i;
      const V xv = load_some<V>(xr + i, left);
      V dz = load_some<V>(gr + i, left);
      if constexpr (kDropout) dz *= mask.template load<V>(factor, i);
      if constexpr (kSilu) {
        const V z = fma(xv, coefficient<kChannelsLast, V>(a, row, i),
                        coefficient<kChannelsLast, V>(b, row, i));
        const V y = sigmoid(z);
        dz *= fma(z * y, V(C(1)) - y, y);
      }
      store_some(dz, to + i, left);
      if constexpr (kChannelsLast) {
        store(load(s + i) + dz, s + i);
        store(fma(dz, xv, load(sx + i)), sx + i);
        store(load(xs + i) + xv, xs + i);
      } else {
        row_s += dz;
        row_sx = fma(dz, xv, row_sx);
        row_x += xv;
      }
    }
    if constexpr (kChannelsLast) {
      if (row % kFlush == kFlush - 1 || row + 1 == p.outer) flush();
    } else {
      sums.dz[static_cast<size_t>(row)] = static_cast<double>(horizontal_sum(row_s));
      sums.dz_x[static_cast<size_t>(row)] = static_cast<double>(horizontal_sum(row_sx));
      sums.x[static_cast<size_t>(row)] = static_cast<double>(horizontal_sum(row_x));
    }
  }
}

// dx = a dz + b x + d over an image.
template <bool kChannelsLast, class T, class C, class G>
void combine_image(const ImageShape& p, const C* a, const C* b, const C* d, const G* dz, const T* x,
                   T* dx) {
  using V = vec_for<T>;
  for (int64_t row = 0; row < p.outer; row++)
    for (int64_t i = 0; i < p.inner; i += V::size) {
      const int64_t left = p.inner - i, at = row * p.inner + i;
      const V t = fma(load_some<V>(x + at, left), coefficient<kChannelsLast, V>(b, row, i),
                      coefficient<kChannelsLast, V>(d, row, i));
      store_some(fma(load_some<V>(dz + at, left), coefficient<kChannelsLast, V>(a, row, i), t),
                 dx + at, left);
    }
}

}  // namespace tenon::TENON_TARGET
