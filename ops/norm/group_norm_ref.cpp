// Plain loops in double: the judge of every other implementation.
#include <cmath>
#include <vector>

#include "ops/norm/group_norm.h"
#include "ops/norm/image_ref.h"

namespace tenon {
namespace {

void forward_ref(const KernelCall& call) {
  const auto& a = call.get<GroupNormAttrs>();
  const Tensor &gamma = call.in[1], &beta = call.in[2], &shift = call.in[3];
  const ImageRef x(call.in[0]), y(call.out[0]);
  const int64_t per_group = x.channels / a.groups;
  for (int64_t n = 0; n < x.t.size(0); ++n)
    for (int64_t group = 0; group < a.groups; ++group) {
      const auto each = [&](auto&& f) {
        for (int64_t c = group * per_group; c < (group + 1) * per_group; ++c)
          for (int64_t p = 0; p < x.pixels; ++p)
            f(c, p, x(n, c, p) + ref_get_or(shift, n * x.channels + c, 0));
      };
      const double count = static_cast<double>(per_group * x.pixels);
      double mean = 0, var = 0;
      each([&](int64_t, int64_t, double v) { mean += v / count; });
      each([&](int64_t, int64_t, double v) { var += (v - mean) * (v - mean) / count; });
      const double rstd = 1 / std::sqrt(var + a.eps);
      ref_put(call.out[1], n * a.groups + group, mean);
      ref_put(call.out[2], n * a.groups + group, rstd);
      each([&](int64_t c, int64_t p, double v) {
        double z = ref_get_or(gamma, c, 1) * (v - mean) * rstd + ref_get_or(beta, c, 0);
        if (a.silu) z /= 1 + std::exp(-z);
        if (a.dropout > 0)
          z *= dropout_factor(a.key, static_cast<uint64_t>(n),
                              static_cast<uint64_t>(p * x.channels + c), a.dropout);
        y.set(n, c, p, z);
      });
    }
}
TENON_REGISTER_KERNEL(GroupNorm, {.name = "ref", .rank = kRankRef, .run = forward_ref});

void backward_ref(const KernelCall& call) {
  const auto& a = call.get<GroupNormAttrs>();
  const Tensor &gamma = call.in[2], &beta = call.in[3], &shift = call.in[4];
  const ImageRef g(call.in[0]), x(call.in[1]), dx(call.out[0]);
  const int64_t per_group = x.channels / a.groups, batch = x.t.size(0);
  std::vector<double> dgamma(static_cast<size_t>(x.channels)), dbeta(dgamma.size()),
      dshift(static_cast<size_t>(batch * x.channels));
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t group = 0; group < a.groups; ++group) {
      const double mean = ref_get(call.in[5], n * a.groups + group);
      const double rstd = ref_get(call.in[6], n * a.groups + group);
      // f(channel, pixel, normalised x, gradient of z)
      const auto each = [&](auto&& f) {
        for (int64_t c = group * per_group; c < (group + 1) * per_group; ++c)
          for (int64_t p = 0; p < x.pixels; ++p) {
            const double xhat =
                (x(n, c, p) + ref_get_or(shift, n * x.channels + c, 0) - mean) * rstd;
            const double z = ref_get_or(gamma, c, 1) * xhat + ref_get_or(beta, c, 0);
            double dz = g(n, c, p);
            if (a.dropout > 0)
              dz *= dropout_factor(a.key, static_cast<uint64_t>(n),
                                   static_cast<uint64_t>(p * x.channels + c), a.dropout);
            if (a.silu) {
              const double s = 1 / (1 + std::exp(-z));
              dz *= s * (1 + z * (1 - s));
            }
            f(c, p, xhat, dz);
          }
      };
      const double count = static_cast<double>(per_group * x.pixels);
      double sum = 0, sum_xhat = 0;
      each([&](int64_t c, int64_t, double xhat, double dz) {
        dgamma[static_cast<size_t>(c)] += dz * xhat;
        dbeta[static_cast<size_t>(c)] += dz;
        sum += ref_get_or(gamma, c, 1) * dz;
        sum_xhat += ref_get_or(gamma, c, 1) * dz * xhat;
      });
      each([&](int64_t c, int64_t p, double xhat, double dz) {
        const double d = rstd * (ref_get_or(gamma, c, 1) * dz - (sum + xhat * sum_xhat) / count);
        dshift[static_cast<size_t>(n * x.channels + c)] += d;
        dx.set(n, c, p, d);
      });
    }
  const auto write = [](const Tensor& t, const std::vector<double>& values) {
    for (int64_t i = 0; i < t.numel(); ++i) ref_put(t, i, values[static_cast<size_t>(i)]);
  };
  write(call.out[1], dgamma);
  write(call.out[2], dbeta);
  write(call.out[3], dshift);
}
TENON_REGISTER_KERNEL(GroupNormBackward, {.name = "ref", .rank = kRankRef, .run = backward_ref});

}  // namespace
}  // namespace tenon
