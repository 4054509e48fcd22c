// Group norm over images that stay in the cache: one image at a time per thread.
#include <cmath>
#include <vector>

#include "core/simd/parallel.h"
#include "ops/norm/group_norm.h"
#include "ops/norm/image_cpu.h"
#include "ops/registry/cpu.h"

namespace tenon::TENON_TARGET {
namespace {

template <class T>
struct Problem : ImageShape {
  using V = vec_for<T>;
  using C = typename V::Element;
  GroupNormAttrs attrs;
  int64_t batch, per_group;
  std::vector<C> gamma, beta, shift;

  Problem(const GroupNormAttrs& a, const Tensor& x, const Tensor& gamma_in, const Tensor& beta_in,
          const Tensor& shift_in)
      : ImageShape(x, V::size),
        attrs(a),
        batch(x.size(0)),
        per_group(channels / a.groups),
        gamma(read_parameters<C>(gamma_in, channels, 1)),
        beta(read_parameters<C>(beta_in, channels, 0)),
        shift(read_parameters<C>(shift_in, shift_in.defined() ? shift_in.numel() : 0, 0)) {}
  C shift_of(int64_t n, int64_t c) const {
    return shift.empty() ? C(0) : shift[static_cast<size_t>(n * channels + c)];
  }
};

void forward(const KernelCall& call) {
  const Tensor& x = call.in[0];
  visit_float(x.dtype(), "group_norm", [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = typename vec_for<T>::Element;
    const Problem<T> p(call.get<GroupNormAttrs>(), x, call.in[1], call.in[2], call.in[3]);
    const int64_t groups = p.attrs.groups;
    C *means = call.out[1].data<C>(), *rstds = call.out[2].data<C>();
    parallel_for(p.batch, p.grain(), [&](int64_t first, int64_t last) {
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

void backward(const KernelCall& call) {
  const Tensor &g = call.in[0], &x = call.in[1];
  visit_float(x.dtype(), "group_norm_backward", [&](auto tag) {
    using T = typename decltype(tag)::type;
    using C = typename vec_for<T>::Element;
    const Problem<T> p(call.get<GroupNormAttrs>(), x, call.in[2], call.in[3], call.in[4]);
    const int64_t groups = p.attrs.groups;
    const auto means = read_parameters<C>(call.in[5], p.batch * groups, 0);
    const auto rstds = read_parameters<C>(call.in[6], p.batch * groups, 0);
    const auto per_image = static_cast<size_t>(p.batch * p.channels);
    std::vector<double> dgamma_n(per_image), dbeta_n(per_image), dshift(per_image);
    parallel_for(p.batch, p.grain(), [&](int64_t first, int64_t last) {
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
          const auto group = static_cast<size_t>(n * groups + c / p.per_group);
          const C mean = means[group], rstd = rstds[group];
          a[c] = p.gamma[static_cast<size_t>(c)] * rstd;
          b[c] = p.beta[static_cast<size_t>(c)] + (p.shift_of(n, c) - mean) * a[c];
        }
        with_switches(p.channels_last, p.attrs.silu, p.attrs.dropout > 0,
                      [&](auto cl, auto silu, auto dropout) {
                        gradient_image<cl(), silu(), dropout()>(p, n, a, b, up, image, dz, work,
                                                                sums, mask);
                      });
        for (int64_t group = 0; group < groups; group++) {
          const double mean = static_cast<double>(means[static_cast<size_t>(n * groups + group)]);
          const double rstd = static_cast<double>(rstds[static_cast<size_t>(n * groups + group)]);
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
    write_parameters(call.out[1], dgamma);
    write_parameters(call.out[2], dbeta);
    write_parameters(call.out[3], dshift);
  });
}

TENON_REGISTER_CPU(GroupNorm, forward, nullptr);
TENON_REGISTER_CPU(GroupNormBackward, backward, nullptr);

}  // namespace
}  // namespace tenon::TENON_TARGET
