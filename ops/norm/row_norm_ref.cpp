// Plain loops in double: the judge of every other implementation.
#include <cmath>
#include <vector>

#include "ops/norm/image_ref.h"
#include "ops/norm/row_norm.h"

namespace tenon {
namespace {

void forward(const KernelCall& call, bool centred, const Tensor& beta, const Tensor* mean_out,
             const Tensor& rstd_out) {
  const Tensor &x = call.in[0], &gamma = call.in[1];
  const double eps = call.get<RowNormAttrs>().eps;
  const int64_t d = x.size(-1), rows = x.numel() / d;
  for (int64_t r = 0; r < rows; ++r) {
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < d && centred; ++i)
      mean += ref_get(x, r * d + i) / static_cast<double>(d);
    for (int64_t i = 0; i < d; ++i) {
      const double v = ref_get(x, r * d + i) - mean;
      squares += v * v / static_cast<double>(d);
    }
    const double rstd = 1 / std::sqrt(squares + eps);
    if (mean_out) ref_put(*mean_out, r, mean);
    ref_put(rstd_out, r, rstd);
    for (int64_t i = 0; i < d; ++i)
      ref_put(call.out[0], r * d + i,
              (ref_get(x, r * d + i) - mean) * rstd * (gamma.defined() ? ref_get(gamma, i) : 1) +
                  (beta.defined() ? ref_get(beta, i) : 0));
  }
}

void layer_norm_ref(const KernelCall& call) {
  forward(call, true, call.in[2], &call.out[1], call.out[2]);
}
TENON_REGISTER_KERNEL(LayerNorm, {.name = "ref", .rank = kRankRef, .run = layer_norm_ref});

void rms_norm_ref(const KernelCall& call) {
  forward(call, false, Tensor(), nullptr, call.out[1]);
}
TENON_REGISTER_KERNEL(RmsNorm, {.name = "ref", .rank = kRankRef, .run = rms_norm_ref});

void backward_ref(const KernelCall& call) {
  const Tensor &g = call.in[0], &x = call.in[1], &gamma = call.in[2], &mean = call.in[3],
               &rstd = call.in[4];
  const int64_t d = x.size(-1), rows = x.numel() / d;
  std::vector<double> dgamma(static_cast<size_t>(d)), dbeta(dgamma.size());
  for (int64_t r = 0; r < rows; ++r) {
    const double scale = ref_get(rstd, r), centre = mean.defined() ? ref_get(mean, r) : 0;
    const auto xhat = [&](int64_t i) { return (ref_get(x, r * d + i) - centre) * scale; };
    const auto dxhat = [&](int64_t i) {
      return ref_get(g, r * d + i) * (gamma.defined() ? ref_get(gamma, i) : 1);
    };
    double c1 = 0, c2 = 0;
    for (int64_t i = 0; i < d; ++i) {
      c1 += mean.defined() ? dxhat(i) / static_cast<double>(d) : 0;
      c2 += dxhat(i) * xhat(i) / static_cast<double>(d);
      dgamma[static_cast<size_t>(i)] += ref_get(g, r * d + i) * xhat(i);
      dbeta[static_cast<size_t>(i)] += ref_get(g, r * d + i);
    }
    for (int64_t i = 0; i < d; ++i)
      ref_put(call.out[0], r * d + i, scale * (dxhat(i) - c1 - xhat(i) * c2));
  }
  for (int64_t i = 0; i < d; ++i) {
    ref_put(call.out[1], i, dgamma[static_cast<size_t>(i)]);
    ref_put(call.out[2], i, dbeta[static_cast<size_t>(i)]);
  }
}
TENON_REGISTER_KERNEL(RowNormBackward, {.name = "ref", .rank = kRankRef, .run = backward_ref});

}  // namespace
}  // namespace tenon
