// Group norm over images that stay in the cache: one image at a time per thread.
//
// Both memory orders run through the same loops over an image of `outer` rows of `inner` elements:
// channels-last has a row per pixel and coefficients that change along the row, row-major a row per
// channel and one coefficient for all of it.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/simd/math.h"
#include "core/simd/parallel.h"
#include "ops/norm/dropout_cpu.h"
#include "ops/norm/group_norm.h"
#include "ops/registry/cpu.h"

namespace tenon::TENON_TARGET {
namespace {

constexpr int64_t kFlush = 64;  // rows after which float sums go to double

template <class C>
std::vector<C> read(const Tensor& t, int64_t count, double otherwise) {
  std::vector<C> out(static_cast<size_t>(count), static_cast<C>(otherwise));
  if (t.defined())
    visit_float(t.dtype(), "group_norm", [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (int64_t i = 0; i < count; i++)
        out[static_cast<size_t>(i)] = static_cast<C>(t.data<T>()[i]);
    });
  return out;
}

void write(const Tensor& t, const std::vector<double>& values) {
  visit_float(t.dtype(), "group_norm", [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t i = 0; i < t.numel(); i++)
      t.data<T>()[i] = static_cast<T>(values[static_cast<size_t>(i)]);
  });
}

template <class T>
struct Problem {
  using V = vec_for<T>;
  using C = typename V::Element;
  GroupNormAttrs attrs;
  bool channels_last;
  int64_t batch, channels, pixels, per_group, padded;  // padded: channels up to a whole vector
  int64_t outer, inner;
  std::vector<C> gamma, beta, shift;

  Problem(const GroupNormAttrs& a, const Tensor& x, const Tensor& gamma_in, const Tensor& beta_in,
          const Tensor& shift_in)
      : attrs(a),
        channels_last(x.is_channels_last()),
        batch(x.size(0)),
        channels(x.size(1)),
        pixels(x.numel() / std::max<int64_t>(batch * channels, 1)),
        per_group(channels / a.groups),
        padded((channels + V::size - 1) / V::size * V::size),
        outer(channels_last ? pixels : channels),
        inner(channels_last ? channels : pixels),
        gamma(read<C>(gamma_in, channels, 1)),
        beta(read<C>(beta_in, channels, 0)),
        shift(read<C>(shift_in, shift_in.defined() ? shift_in.numel() : 0, 0)) {}
  int64_t size() const { return channels * pixels; }  // of an image
  C shift_of(int64_t n, int64_t c) const {
    return shift.empty() ? C(0) : shift[static_cast<size_t>(n * channels + c)];
  }
  // f(first, last) over the images.
  template <class F>
  void each_image(F&& f) const {
    parallel_for(batch, std::max<int64_t>(1, 16384 / std::max<int64_t>(size(), 1)), f);
  }
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
void channel_statistics(const Problem<T>& p, const T* x, double* mean, double* squares) {
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
void apply_image(const Problem<T>& p, int64_t n, const C* a, const C* b, const T* x, T* y,
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

void forward(const KernelCall& call) {
  const Tensor& x = call.in[0];
  visit_float(x.dtype(), "group_norm", [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = typename vec_for<T>::Element;
    const Problem<T> p(call.get<GroupNormAttrs>(), x, call.in[1], call.in[2], call.in[3]);
    const int64_t groups = p.attrs.groups;
    C *means = call.out[1].data<C>(), *rstds = call.out[2].data<C>();
    p.each_image([&](int64_t first, int64_t last) {
      std::vector<double> statistics(static_cast<size_t>(2 * p.channels));
      double *mean_c = statistics.data(), *squares_c = mean_c + p.channels;
      std::vector<C> coefficients(static_cast<size_t>(2 * p.padded));
      C *a = coefficients.data(), *b = a + p.padded;
      DropoutMask mask(p.attrs.key, p.attrs.dropout, p.channels, p.pixels, p.channels_last);
      for (int64_t n = first; n < last; n++) {
        const T* image = x.data<T>() + n * p.size();
        channel_statistics(p, image, mean_c, squares_c);
        for (int64_t group = 0; group < groups; group++) {
          const int64_t begin = group * p.per_group, end = begin + p.per_group;
          double mean = 0, squares = 0;
          for (int64_t c = begin; c < end; c++)
            mean += (mean_c[c] + static_cast<double>(p.shift_of(n, c))) /
                    static_cast<double>(p.per_group);
          for (int64_t c = begin; c < end; c++) {
            const double d = mean_c[c] + static_cast<double>(p.shift_of(n, c)) - mean;
            squares += squares_c[c] + static_cast<double>(p.pixels) * d * d;
          }
          const double count = static_cast<double>(p.per_group * p.pixels);
          const double rstd = 1 / std::sqrt(squares / count + p.attrs.eps);
          means[n * groups + group] = static_cast<C>(mean);
          rstds[n * groups + group] = static_cast<C>(rstd);
          for (int64_t c = begin; c < end; c++) {
            const double scale = static_cast<double>(p.gamma[static_cast<size_t>(c)]) * rstd;
            a[c] = static_cast<C>(scale);
            b[c] = static_cast<C>(static_cast<double>(p.beta[static_cast<size_t>(c)]) +
                                  (static_cast<double>(p.shift_of(n, c)) - mean) * scale);
          }
        }
        with_switches(p.channels_last, p.attrs.silu, p.attrs.dropout > 0,
                      [&](auto cl, auto silu, auto dropout) {
                        apply_image<cl(), silu(), dropout()>(
                            p, n, a, b, image, call.out[0].data<T>() + n * p.size(), mask);
                      });
      }
    });
  });
}

// Sums over the pixels of an image, per channel.
struct ChannelSums {
  std::vector<double> dz, dz_x, x;
  explicit ChannelSums(int64_t channels)
      : dz(static_cast<size_t>(channels)), dz_x(dz.size()), x(dz.size()) {}
};

// dz, the gradient of z = a x + b, into `out` (in the computing type), and its sums.
template <bool kChannelsLast, bool kSilu, bool kDropout, class T, class C>
void gradient_image(const Problem<T>& p, int64_t n, const C* a, const C* b, const T* g, const T* x,
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
template <bool kChannelsLast, class T, class C>
void combine_image(const Problem<T>& p, const C* a, const C* b, const C* d, const C* dz, const T* x,
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

void backward(const KernelCall& call) {
  const Tensor &g = call.in[0], &x = call.in[1];
  visit_float(x.dtype(), "group_norm_backward", [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = typename vec_for<T>::Element;
    const Problem<T> p(call.get<GroupNormAttrs>(), x, call.in[2], call.in[3], call.in[4]);
    const int64_t groups = p.attrs.groups;
    const C *means = call.in[5].data<C>(), *rstds = call.in[6].data<C>();
    const auto per_image = static_cast<size_t>(p.batch * p.channels);
    std::vector<double> dgamma_n(per_image), dbeta_n(per_image), dshift(per_image);
    p.each_image([&](int64_t first, int64_t last) {
      std::vector<C> coefficients(static_cast<size_t>(8 * p.padded));
      C *a = coefficients.data(), *b = a + p.padded, *scale = b + p.padded,
        *slope = scale + p.padded, *constant = slope + p.padded, *work = constant + p.padded;
      ChannelSums sums(p.channels);
      // 2-byte types keep dz in f32 beside the output; the others put it where dx will be.
      std::vector<C> beside(std::is_same_v<T, C> ? 0 : static_cast<size_t>(p.size()));
      DropoutMask mask(p.attrs.key, p.attrs.dropout, p.channels, p.pixels, p.channels_last);
      for (int64_t n = first; n < last; n++) {
        const T *image = x.data<T>() + n * p.size(), *up = g.data<T>() + n * p.size();
        T* dx = call.out[0].data<T>() + n * p.size();
        C* dz;
        if constexpr (std::is_same_v<T, C>)
          dz = dx;
        else
          dz = beside.data();
        for (int64_t c = 0; c < p.channels; c++) {
          const C mean = means[n * groups + c / p.per_group],
                  rstd = rstds[n * groups + c / p.per_group];
          a[c] = p.gamma[static_cast<size_t>(c)] * rstd;
          b[c] = p.beta[static_cast<size_t>(c)] + (p.shift_of(n, c) - mean) * a[c];
        }
        with_switches(p.channels_last, p.attrs.silu, p.attrs.dropout > 0,
                      [&](auto cl, auto silu, auto dropout) {
                        gradient_image<cl(), silu(), dropout()>(p, n, a, b, up, image, dz, work,
                                                                sums, mask);
                      });
        for (int64_t group = 0; group < groups; group++) {
          const double mean = static_cast<double>(means[n * groups + group]);
          const double rstd = static_cast<double>(rstds[n * groups + group]);
          const double count = static_cast<double>(p.per_group * p.pixels);
          double s1 = 0, s2 = 0;
          const auto offset = [&](int64_t c) {  // normalised x = rstd x + offset
            return (static_cast<double>(p.shift_of(n, c)) - mean) * rstd;
          };
          for (int64_t c = group * p.per_group; c < (group + 1) * p.per_group; c++) {
            const auto i = static_cast<size_t>(c), in = static_cast<size_t>(n * p.channels + c);
            dbeta_n[in] = sums.dz[i];
            dgamma_n[in] = rstd * sums.dz_x[i] + offset(c) * sums.dz[i];
            s1 += static_cast<double>(p.gamma[i]) * dbeta_n[in];
            s2 += static_cast<double>(p.gamma[i]) * dgamma_n[in];
          }
          for (int64_t c = group * p.per_group; c < (group + 1) * p.per_group; c++) {
            const auto i = static_cast<size_t>(c), in = static_cast<size_t>(n * p.channels + c);
            const double ka = rstd * static_cast<double>(p.gamma[i]),
                         kb = -rstd * rstd * s2 / count;
            const double kd = -rstd * (s1 + offset(c) * s2) / count;
            scale[c] = static_cast<C>(ka);
            slope[c] = static_cast<C>(kb);
            constant[c] = static_cast<C>(kd);
            dshift[in] = ka * sums.dz[i] + kb * sums.x[i] + kd * static_cast<double>(p.pixels);
          }
        }
        if (p.channels_last)
          combine_image<true>(p, scale, slope, constant, dz, image, dx);
        else
          combine_image<false>(p, scale, slope, constant, dz, image, dx);
      }
    });
    // Over the images in order: the sums do not depend on the threads.
    std::vector<double> dgamma(static_cast<size_t>(p.channels)), dbeta(dgamma.size());
    for (size_t i = 0; i < per_image; i++) {
      dgamma[i % dgamma.size()] += dgamma_n[i];
      dbeta[i % dgamma.size()] += dbeta_n[i];
    }
    write(call.out[1], dgamma);
    write(call.out[2], dbeta);
    write(call.out[3], dshift);
  });
}

TENON_REGISTER_CPU(GroupNorm, forward, nullptr);
TENON_REGISTER_CPU(GroupNormBackward, backward, nullptr);

}  // namespace
}  // namespace tenon::TENON_TARGET
