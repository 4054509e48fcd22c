// Plain loops in double: the judge of every other implementation.
#include <algorithm>
#include <cmath>
#include <vector>

#include "ops/norm/group_norm.h"

namespace tenon {
namespace {

// Element (n, c, p) of a tensor [N, C, ...] in either memory order, as double.
struct Image {
  const Tensor& t;
  int64_t channels, pixels;
  explicit Image(const Tensor& tensor)
      : t(tensor),
        channels(t.size(1)),
        pixels(channels ? t.numel() / std::max<int64_t>(t.size(0) * channels, 1) : 0) {}
  int64_t at(int64_t n, int64_t c, int64_t p) const {
    return t.is_channels_last() ? (n * pixels + p) * channels + c : (n * channels + c) * pixels + p;
  }
  double operator()(int64_t n, int64_t c, int64_t p) const { return get(t, at(n, c, p)); }
  void set(int64_t n, int64_t c, int64_t p, double value) const { put(t, at(n, c, p), value); }
  static double get(const Tensor& t, int64_t i) {
    return visit_float(t.dtype(), "group_norm", [&](auto tag) {
      return static_cast<double>(t.data<typename decltype(tag)::type>()[i]);
    });
  }
  static void put(const Tensor& t, int64_t i, double value) {
    visit_float(t.dtype(), "group_norm", [&](auto tag) {
      using T = typename decltype(tag)::type;
      t.data<T>()[i] = static_cast<T>(value);
    });
  }
};

double value_or(const Tensor& t, int64_t i, double otherwise) {
  return t.defined() ? Image::get(t, i) : otherwise;
}

void forward_ref(const KernelCall& call) {
  const auto& a = call.get<GroupNormAttrs>();
  const Tensor &gamma = call.in[1], &beta = call.in[2], &shift = call.in[3];
  const Image x(call.in[0]), y(call.out[0]);
  const int64_t per_group = x.channels / a.groups;
  for (int64_t n = 0; n < x.t.size(0); ++n)
    for (int64_t group = 0; group < a.groups; ++group) {
      const auto each = [&](auto&& f) {
        for (int64_t c = group * per_group; c < (group + 1) * per_group; ++c)
          for (int64_t p = 0; p < x.pixels; ++p)
            f(c, p, x(n, c, p) + value_or(shift, n * x.channels + c, 0));
      };
      const double count = static_cast<double>(per_group * x.pixels);
      double mean = 0, var = 0;
      each([&](int64_t, int64_t, double v) { mean += v / count; });
      each([&](int64_t, int64_t, double v) { var += (v - mean) * (v - mean) / count; });
      const double rstd = 1 / std::sqrt(var + a.eps);
      Image::put(call.out[1], n * a.groups + group, mean);
      Image::put(call.out[2], n * a.groups + group, rstd);
      each([&](int64_t c, int64_t p, double v) {
        double z = value_or(gamma, c, 1) * (v - mean) * rstd + value_or(beta, c, 0);
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
  const Image g(call.in[0]), x(call.in[1]), dx(call.out[0]);
  const int64_t per_group = x.channels / a.groups, batch = x.t.size(0);
  std::vector<double> dgamma(static_cast<size_t>(x.channels)), dbeta(dgamma.size()),
      dshift(static_cast<size_t>(batch * x.channels));
  for (int64_t n = 0; n < batch; ++n)
    for (int64_t group = 0; group < a.groups; ++group) {
      const double mean = Image::get(call.in[5], n * a.groups + group);
      const double rstd = Image::get(call.in[6], n * a.groups + group);
      // f(channel, pixel, normalised x, gradient of z)
      const auto each = [&](auto&& f) {
        for (int64_t c = group * per_group; c < (group + 1) * per_group; ++c)
          for (int64_t p = 0; p < x.pixels; ++p) {
            const double xhat = (x(n, c, p) + value_or(shift, n * x.channels + c, 0) - mean) * rstd;
            const double z = value_or(gamma, c, 1) * xhat + value_or(beta, c, 0);
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
        sum += value_or(gamma, c, 1) * dz;
        sum_xhat += value_or(gamma, c, 1) * dz * xhat;
      });
      each([&](int64_t c, int64_t p, double xhat, double dz) {
        const double d = rstd * (value_or(gamma, c, 1) * dz - (sum + xhat * sum_xhat) / count);
        dshift[static_cast<size_t>(n * x.channels + c)] += d;
        dx.set(n, c, p, d);
      });
    }
  const auto write = [](const Tensor& t, const std::vector<double>& values) {
    for (int64_t i = 0; i < t.numel(); ++i) Image::put(t, i, values[static_cast<size_t>(i)]);
  };
  write(call.out[1], dgamma);
  write(call.out[2], dbeta);
  write(call.out[3], dshift);
}
TENON_REGISTER_KERNEL(GroupNormBackward, {.name = "ref", .rank = kRankRef, .run = backward_ref});

}  // namespace
}  // namespace tenon
