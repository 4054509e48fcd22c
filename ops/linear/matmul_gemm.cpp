// Products by gemm(), which chooses between our own kernel and OpenBLAS.
#include "core/simd/parallel.h"
#include "ops/linear/gemm.h"
#include "ops/linear/matmul.h"

namespace tenon {
namespace {

template <class T>
void set_problem(Gemm<T>& g, bool ta, bool tb, int64_t m, int64_t n, int64_t k) {
  g.trans_a = ta;
  g.trans_b = tb;
  g.m = m;
  g.n = n;
  g.k = k;
  g.lda = ta ? m : k;
  g.ldb = tb ? k : n;
  g.ldc = n;
}

void matmul_gemm(const KernelCall& call) {
  const auto& attrs = call.get<Matmul::Attrs>();
  const Tensor &a = call.in[0], &b = call.in[1], &y = call.out[0];
  if (y.numel() == 0) return;
  const MatmulBatch batch = matmul_batch(a, b);
  const int64_t m = y.size(-2), n = y.size(-1), k = a.size(attrs.trans_a ? -2 : -1);
  visit_float(a.dtype(), "matmul", [&](auto tag) {
    using T = typename decltype(tag)::type;
    Gemm<T> g;
    // Runs of matrices at a constant distance become one batched product; a single b under all of a
    // becomes one long product.
    const auto [a1, b1] = batch.count > 1 ? batch.at(1) : std::pair<int64_t, int64_t>{0, 0};
    bool regular = true;
    for (int64_t z = 2; z < batch.count && regular; ++z)
      regular = batch.at(z) == std::pair(z * a1, z * b1);
    if (regular && b1 == 0 && a1 == 1 && !attrs.trans_a) {
      set_problem(g, false, attrs.trans_b, m * batch.count, n, k);
    } else {
      set_problem(g, attrs.trans_a, attrs.trans_b, m, n, k);
      if (regular) g.batch = batch.count;
      g.stride_a = a1 * m * k;
      g.stride_b = b1 * k * n;
      g.stride_c = m * n;
    }
    for (int64_t z = 0; z < (regular ? 1 : batch.count); ++z) {
      const auto [za, zb] = batch.at(z);
      g.a = a.data<T>() + za * m * k;
      g.b = b.data<T>() + zb * k * n;
      g.c = y.data<T>() + z * m * n;
      gemm(g);
    }
  });
}
TENON_REGISTER_KERNEL(Matmul, {.name = "gemm", .rank = kRankLibrary, .run = matmul_gemm});

void linear_gemm(const KernelCall& call) {
  const Tensor &x = call.in[0], &w = call.in[1], &bias = call.in[2], &y = call.out[0];
  if (y.numel() == 0) return;
  const int64_t n = w.size(0), k = w.size(1), rows = y.numel() / n;
  visit_float(x.dtype(), "linear", [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* out = y.data<T>();
    Gemm<T> g;
    set_problem(g, false, true, rows, n, k);
    if (bias.defined()) {
      // The product is added to rows of the bias. (The 2-byte types lose nothing: the bias is one
      // of them already.)
      const T* from = bias.data<T>();
      parallel_for(rows, std::max<int64_t>(1, 32768 / n), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) std::copy(from, from + n, out + i * n);
      });
      g.beta = 1;
    }
    g.a = x.data<T>();
    g.b = w.data<T>();
    g.c = out;
    gemm(g);
  });
}
TENON_REGISTER_KERNEL(Linear, {.name = "gemm", .rank = kRankLibrary, .run = linear_gemm});

}  // namespace
}  // namespace tenon
