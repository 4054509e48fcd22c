// Plain loops in double: the judge of every other implementation.
#include <cmath>
#include <vector>

#include "ops/norm/batch_norm.h"
#include "ops/norm/image_ref.h"

namespace tenon {
namespace {

void forward_ref(const KernelCall& call) {
  const auto& a = call.get<BatchNorm::Attrs>();
  const ImageRef x(call.in[0]), y(call.out[0]);
  const Tensor &gamma = call.in[1], &beta = call.in[2];
  const double count = static_cast<double>(x.batch * x.pixels);
  for (int64_t c = 0; c < x.channels; ++c) {
    const auto each = [&](auto&& f) {
      for (int64_t n = 0; n < x.batch; ++n)
        for (int64_t p = 0; p < x.pixels; ++p) f(n, p, x(n, c, p));
    };
    double mean = 0, var = 0;
    each([&](int64_t, int64_t, double v) { mean += v / count; });
    each([&](int64_t, int64_t, double v) { var += (v - mean) * (v - mean) / count; });
    const double rstd = 1 / std::sqrt(var + a.eps);
    ref_put(call.out[1], c, mean);
    ref_put(call.out[2], c, rstd);
    each([&](int64_t n, int64_t p, double v) {
      y.set(n, c, p, (v - mean) * rstd * ref_get_or(gamma, c, 1) + ref_get_or(beta, c, 0));
    });
    if (call.in[3].defined()) {
      const auto move = [&](const Tensor& t, double value) {
        ref_put(t, c, (1 - a.momentum) * ref_get(t, c) + a.momentum * value);
      };
      move(call.in[3], mean);
      move(call.in[4], var * count / (count - 1));
    }
  }
}
TENON_REGISTER_KERNEL(BatchNorm, {.name = "ref", .rank = kRankRef, .run = forward_ref});

void backward_ref(const KernelCall& call) {
  const ImageRef g(call.in[0]), x(call.in[1]), dx(call.out[0]);
  const double count = static_cast<double>(x.batch * x.pixels);
  for (int64_t c = 0; c < x.channels; ++c) {
    const double mean = ref_get(call.in[3], c), rstd = ref_get(call.in[4], c);
    const double scale = ref_get_or(call.in[2], c, 1);
    const auto each = [&](auto&& f) {
      for (int64_t n = 0; n < x.batch; ++n)
        for (int64_t p = 0; p < x.pixels; ++p) f(n, p, (x(n, c, p) - mean) * rstd, g(n, c, p));
    };
    double dgamma = 0, dbeta = 0;
    each([&](int64_t, int64_t, double xhat, double up) {
      dgamma += up * xhat;
      dbeta += up;
    });
    ref_put(call.out[1], c, dgamma);
    ref_put(call.out[2], c, dbeta);
    each([&](int64_t n, int64_t p, double xhat, double up) {
      dx.set(n, c, p, scale * rstd * (up - (dbeta + xhat * dgamma) / count));
    });
  }
}
TENON_REGISTER_KERNEL(BatchNormBackward, {.name = "ref", .rank = kRankRef, .run = backward_ref});

}  // namespace
}  // namespace tenon
