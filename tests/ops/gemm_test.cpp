// Products on raw memory against plain loops in double, for sizes around the tiles' borders.
#include "ops/linear/gemm.h"

#include <cmath>
#include <vector>

#include "core/base/rng.h"
#include "core/simd/parallel.h"
#include "tests/support/catch.h"

using namespace tenon;

namespace {

template <class T>
std::vector<T> numbers(size_t count, uint64_t seed) {
  std::vector<T> out(count);
  for (size_t i = 0; i < count; i++)
    out[i] = static_cast<T>(std::round(uniform_from_bits(RngKey{seed}.block(i).v[0]) * 16 - 8) /
                            8);  // exact in bf16
  return out;
}

template <class T>
double worst_error(Gemm<T> g, bool own) {
  g.lda = (g.trans_a ? g.m : g.k) + 3;
  g.ldb = (g.trans_b ? g.k : g.n) + 1;
  g.ldc = g.n + 2;
  g.stride_a = g.lda * (g.trans_a ? g.k : g.m);
  g.stride_b = g.ldb * (g.trans_b ? g.n : g.k);
  g.stride_c = g.ldc * g.m;
  const auto size = [&](int64_t stride) { return static_cast<size_t>(stride * g.batch + 1); };
  const auto a = numbers<T>(size(g.stride_a), 1), b = numbers<T>(size(g.stride_b), 2);
  const auto before = numbers<T>(size(g.stride_c), 3);
  auto c = before;
  g.a = a.data();
  g.b = b.data();
  g.c = c.data();
  own ? gemm_own(g) : gemm(g);
  double worst = 0;
  for (int64_t z = 0; z < g.batch; z++)
    for (int64_t i = 0; i < g.m; i++)
      for (int64_t j = 0; j < g.ldc; j++) {
        const auto at = static_cast<size_t>(z * g.stride_c + i * g.ldc + j);
        double want = static_cast<double>(before[at]);
        if (j < g.n) {
          double sum = 0;
          for (int64_t p = 0; p < g.k; p++)
            sum += static_cast<double>(
                       g.a[z * g.stride_a + (g.trans_a ? p * g.lda + i : i * g.lda + p)]) *
                   static_cast<double>(
                       g.b[z * g.stride_b + (g.trans_b ? j * g.ldb + p : p * g.ldb + j)]);
          want = g.alpha * sum + (g.beta == 0 ? 0 : g.beta * want);
        }
        worst =
            std::max(worst, std::fabs(static_cast<double>(c[at]) - want) / (1 + std::fabs(want)));
      }
  return worst;
}

}  // namespace

TEMPLATE_TEST_CASE("gemm agrees with plain loops", "[gemm]", double, float, bf16, f16) {
  const double limit = sizeof(TestType) == 2 ? 1e-2 : sizeof(TestType) == 4 ? 1e-5 : 1e-12;
  const int64_t sizes[][3] = {{1, 1, 1},     {7, 5, 3},      {1, 40, 64},     {97, 33, 300},
                              {13, 270, 17}, {96, 256, 256}, {130, 257, 100}, {5, 6, 0}};
  for (const auto& s : sizes)
    for (int form = 0; form < 4; form++)
      for (const bool own : {false, true}) {
        Gemm<TestType> g;
        g.m = s[0];
        g.n = s[1];
        g.k = s[2];
        g.trans_a = form & 1;
        g.trans_b = form & 2;
        INFO(g.m << " x " << g.n << " x " << g.k << ", form " << form << ", own " << own);
        CHECK(worst_error(g, own) < limit);
        g.alpha = 0.5;
        g.beta = 2;
        CHECK(worst_error(g, own) < limit);
      }
}

TEST_CASE("gemm works on many matrices", "[gemm]") {
  Gemm<float> g;
  g.m = 10;
  g.n = 20;
  g.k = 30;
  g.batch = 7;
  CHECK(worst_error(g, false) < 1e-5);
  g.m = g.n = g.k = 100;  // large enough for the library
  CHECK(worst_error(g, false) < 1e-5);
}

TEST_CASE("our product does not depend on the number of threads", "[gemm]") {
  Gemm<float> g;
  g.m = 200;
  g.n = 300;
  g.k = 400;
  g.lda = 400;
  g.ldb = g.ldc = 300;
  const auto a = numbers<float>(200 * 400, 1), b = numbers<float>(400 * 300, 2);
  std::vector<float> one(200 * 300), two(one);
  g.a = a.data();
  g.b = b.data();
  const int before = threads();
  set_threads(1);
  g.c = one.data();
  gemm_own(g);
  set_threads(3);
  g.c = two.data();
  gemm_own(g);
  set_threads(before);
  CHECK(one == two);
}
