// Plain loops in double: the judge of every other implementation.
#include "ops/linear/matmul.h"

namespace tenon {
namespace {

void matmul_ref(const KernelCall& call) {
  const auto& attrs = call.get<Matmul::Attrs>();
  const Tensor &a = call.in[0], &b = call.in[1], &y = call.out[0];
  const MatmulBatch batch = matmul_batch(a, b);
  const int64_t m = y.size(-2), n = y.size(-1), k = a.size(attrs.trans_a ? -2 : -1);
  visit_float(a.dtype(), "matmul", [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t z = 0; z < batch.count; ++z) {
      const auto [za, zb] = batch.at(z);
      const T* pa = a.data<T>() + za * m * k;
      const T* pb = b.data<T>() + zb * k * n;
      T* py = y.data<T>() + z * m * n;
      for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) {
          double sum = 0;
          for (int64_t p = 0; p < k; ++p)
            sum += static_cast<double>(attrs.trans_a ? pa[p * m + i] : pa[i * k + p]) *
                   static_cast<double>(attrs.trans_b ? pb[j * k + p] : pb[p * n + j]);
          py[i * n + j] = static_cast<T>(sum);
        }
    }
  });
}
TENON_REGISTER_KERNEL(Matmul, {.name = "ref", .rank = kRankRef, .run = matmul_ref});

void linear_ref(const KernelCall& call) {
  const Tensor &x = call.in[0], &w = call.in[1], &bias = call.in[2], &y = call.out[0];
  const int64_t n = w.size(0), k = w.size(1), rows = n ? y.numel() / n : 0;
  visit_float(x.dtype(), "linear", [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t i = 0; i < rows; ++i)
      for (int64_t j = 0; j < n; ++j) {
        double sum = bias.defined() ? static_cast<double>(bias.data<T>()[j]) : 0;
        for (int64_t p = 0; p < k; ++p)
          sum += static_cast<double>(x.data<T>()[i * k + p]) *
                 static_cast<double>(w.data<T>()[j * k + p]);
        y.data<T>()[i * n + j] = static_cast<T>(sum);
      }
  });
}
TENON_REGISTER_KERNEL(Linear, {.name = "ref", .rank = kRankRef, .run = linear_ref});

}  // namespace
}  // namespace tenon
