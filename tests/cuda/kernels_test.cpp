// The kernels on raw memory, under every schedule, against plain loops in double.
#ifndef TENON_SIMT_EMULATED
#define TENON_SIMT_EMULATED 1
#endif
#include <cmath>
#include <vector>

#include "core/base/rng.h"
#include "cuda/ops/linear/matmul.h"
#include "cuda/ops/pointwise/pointwise.h"
#include "cuda/ops/reduce/softmax.h"
#include "tests/cuda/schedules.h"
#include "tests/support/catch.h"

using namespace tenon;
using tenon::test::same_in_all_schedules;

namespace {

// Uniform in [-2, 2), the same for the same key.
template <class T>
std::vector<T> random_values(int64_t n, uint64_t key) {
  std::vector<T> x(static_cast<size_t>(n));
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = T(uniform_from_bits(philox(key, i, 0).v[0]) * 4.0f - 2.0f);
  return x;
}

template <class T>
double rounding() {  // half a unit in the last place, relative
  return sizeof(T) == 8 ? 1e-15 : sizeof(T) == 4 ? 6e-8 : std::is_same_v<T, bf16> ? 2e-3 : 5e-4;
}

template <class T>
double largest(const std::vector<T>& x) {
  double m = 0;
  for (const T& v : x) m = std::max(m, std::abs(double(v)));
  return m;
}

// ---- pointwise ----
struct Affine {
  double scale;
  template <class V>
  TENON_HD V operator()(V x) const {
    return x * V(scale) + V(1);
  }
};
struct Product {
  template <class V>
  TENON_HD V operator()(V a, V b) const {
    return a * b;
  }
};
struct Less {
  template <class V>
  TENON_HD bool operator()(V a, V b) const {
    return a < b;
  }
};

PointwiseShape contiguous_shape(int64_t n, int operands) {
  PointwiseShape shape;
  shape.rank = 1;
  shape.sizes[0] = n;
  for (int k = 0; k < operands; ++k) shape.strides[k][0] = 1;
  return shape;
}

template <class T>
void check_affine(int64_t n, int64_t skip) {
  const auto x = random_values<T>(n + skip, 1);
  const auto y = same_in_all_schedules([&] {
    std::vector<T> out(x.size());
    cuda::launch_pointwise<Affine, T, T, 1>({3}, out.data() + skip, {{x.data() + skip}},
                                            contiguous_shape(n, 2), nullptr);
    return out;
  });
  for (size_t i = 0; i < x.size(); ++i) {
    const double want = i < size_t(skip) ? 0.0 : double(x[i]) * 3 + 1;
    REQUIRE(std::abs(double(y[i]) - want) <= 8 * rounding<T>());
  }
}

// ---- softmax ----
template <class T>
void check_softmax(int64_t outer, int64_t columns, int64_t inner = 1, bool log = false) {
  const int64_t rows = outer * inner;
  INFO(outer << " x " << columns << " x " << inner << (log ? " log" : ""));
  auto x = random_values<T>(rows * columns, 2);
  for (size_t i = 0; i < x.size(); i += 7) x[i] = T(float(x[i]) * 20.0f);
  const auto g = random_values<T>(rows * columns, 3);
  const auto y = same_in_all_schedules([&] {
    std::vector<T> out(x.size());
    cuda::softmax_rows<T>(x.data(), out.data(), outer, columns, inner, log, nullptr);
    return out;
  });
  const auto gx = same_in_all_schedules([&] {
    std::vector<T> out(x.size());
    cuda::softmax_rows_backward<T>(g.data(), y.data(), out.data(), outer, columns, inner, log,
                                   nullptr);
    return out;
  });
  const double tolerance = (log ? 400 : 8) * rounding<T>();  // logarithms reach -80
  for (int64_t r = 0; r < rows; ++r) {
    const auto at = [&](int64_t c) {
      return size_t(r / inner * columns * inner + c * inner + r % inner);
    };
    double m = -INFINITY, sum = 0, dot = 0;
    for (int64_t c = 0; c < columns; ++c) m = std::max(m, double(x[at(c)]));
    for (int64_t c = 0; c < columns; ++c) {
      sum += std::exp(double(x[at(c)]) - m);
      dot += double(g[at(c)]) * (log ? 1 : double(y[at(c)]));
    }
    for (int64_t c = 0; c < columns; ++c) {
      const double shifted = double(x[at(c)]) - m, out = double(y[at(c)]), in = double(g[at(c)]);
      const double want = log ? shifted - std::log(sum) : std::exp(shifted) / sum;
      const double want_gx = log ? in - std::exp(out) * dot : out * (in - dot);
      REQUIRE(std::abs(out - want) <= tolerance);
      REQUIRE(std::abs(double(gx[at(c)]) - want_gx) <= 4 * tolerance);
    }
  }
}

// ---- matmul ----
// Small integers are exact in bf16 and their sums in float: the result must be equal, not close.
template <class Out>
void check_matmul(cuda::MatmulShape s, bool trans_a, bool trans_b) {
  INFO(s.batch << " x " << s.m << " x " << s.n << " x " << s.k << (trans_a ? " a^T" : "")
               << (trans_b ? " b^T" : ""));
  const auto integers = [](int64_t n, uint64_t key) {
    std::vector<bf16> x(static_cast<size_t>(n));
    for (size_t i = 0; i < x.size(); ++i) x[i] = float(philox(key, i, 0).v[0] % 9) - 4.0f;
    return x;
  };
  const auto a = integers(s.stride_a ? s.batch * s.m * s.k : s.m * s.k, 4);
  const auto b = integers(s.stride_b ? s.batch * s.k * s.n : s.k * s.n, 5);
  const auto c = same_in_all_schedules([&] {
    std::vector<Out> out(size_t(s.batch * s.m * s.n), Out(-77.0f));
    cuda::matmul_bf16<Out>(a.data(), b.data(), out.data(), s, trans_a, trans_b, nullptr);
    return out;
  });
  for (int64_t z = 0; z < s.batch; ++z)
    for (int64_t m = 0; m < s.m; ++m)
      for (int64_t n = 0; n < s.n; ++n) {
        float want = 0;
        for (int64_t k = 0; k < s.k; ++k)
          want += float(a[size_t(z * s.stride_a + (trans_a ? k * s.m + m : m * s.k + k))]) *
                  float(b[size_t(z * s.stride_b + (trans_b ? n * s.k + k : k * s.n + n))]);
        REQUIRE(float(c[size_t(z * s.stride_c + m * s.n + n)]) == float(Out(want)));
      }
}

cuda::MatmulShape one(int64_t m, int64_t n, int64_t k) {
  return {1, m, n, k, m * k, k * n, m * n};
}

}  // namespace

TEST_CASE("pointwise, contiguous, all types, any length and alignment") {
  for (const int64_t n : {0, 1, 2, 3, 7, 8, 31, 1000, 5000})
    for (const int64_t skip : {0, 1, 3}) {
      INFO(n << " from " << skip);
      check_affine<double>(n, skip);
      check_affine<float>(n, skip);
      check_affine<bf16>(n, skip);
      check_affine<f16>(n, skip);
    }
}

TEST_CASE("pointwise with strides and broadcasting") {
  // y[3, 5, 4] in reversed memory order, a [3, 1, 4] broadcast, b a scalar.
  const auto a = random_values<float>(12, 6), b = random_values<float>(1, 7);
  PointwiseShape shape;
  shape.rank = 3;
  const int64_t sizes[] = {3, 5, 4}, y_strides[] = {1, 3, 15}, a_strides[] = {4, 0, 1};
  for (int d = 0; d < 3; ++d) {
    shape.sizes[d] = sizes[d];
    shape.strides[0][d] = y_strides[d];
    shape.strides[1][d] = a_strides[d];
  }
  const auto y = same_in_all_schedules([&] {
    std::vector<float> out(60);
    cuda::launch_pointwise<Product, float, float, 2>({}, out.data(), {{a.data(), b.data()}}, shape,
                                                     nullptr);
    return out;
  });
  const auto less = same_in_all_schedules([&] {
    std::vector<uint8_t> out(60, 9);
    cuda::launch_pointwise<Less, bool, float, 2>({}, reinterpret_cast<bool*>(out.data()),
                                                 {{a.data(), b.data()}}, shape, nullptr);
    return out;
  });
  for (size_t i = 0; i < 3; ++i)
    for (size_t j = 0; j < 5; ++j)
      for (size_t k = 0; k < 4; ++k) {
        REQUIRE(y[i + 3 * j + 15 * k] == a[4 * i + k] * b[0]);
        REQUIRE(less[i + 3 * j + 15 * k] == (a[4 * i + k] < b[0] ? 1 : 0));
      }
}

TEST_CASE("pointwise with a narrower result") {
  for (const int64_t n : {1, 15, 16, 333}) {
    const auto a = random_values<double>(n, 8), b = random_values<double>(n, 9);
    std::vector<uint8_t> out(size_t(n), 9);
    cuda::launch_pointwise<Less, bool, double, 2>({}, reinterpret_cast<bool*>(out.data()),
                                                  {{a.data(), b.data()}}, contiguous_shape(n, 3),
                                                  nullptr);
    for (size_t i = 0; i < out.size(); ++i) REQUIRE(out[i] == (a[i] < b[i] ? 1 : 0));
  }
}

TEST_CASE("softmax of rows of any length") {
  for (const int64_t columns : {1, 2, 31, 32, 33, 129, 255, 1000}) check_softmax<float>(3, columns);
  check_softmax<float>(0, 5);
  check_softmax<float>(5, 0);
  check_softmax<double>(2, 77);
  check_softmax<bf16>(2, 301);
  check_softmax<f16>(2, 301);
}

TEST_CASE("softmax along an axis that is not the last, and its logarithm") {
  check_softmax<float>(2, 40, 3);
  check_softmax<float>(1, 3, 50);
  check_softmax<float>(3, 70, 1, true);
  check_softmax<double>(2, 9, 5, true);
  check_softmax<bf16>(2, 9, 5, true);
}

TEST_CASE("softmax of more rows than blocks") {
  const int64_t rows = 65535 + 3;
  const std::vector<float> x(size_t(rows * 2), 1.0f);
  std::vector<float> y(x.size());
  cuda::softmax_rows<float>(x.data(), y.data(), rows, 2, 1, false, nullptr);
  for (const float v : y) REQUIRE(v == 0.5f);
}

TEST_CASE("softmax keeps NaN and survives -inf") {
  const std::vector<float> x = {1, -INFINITY, 1, -INFINITY, NAN, 0, 0, 0};
  std::vector<float> y(8);
  cuda::softmax_rows<float>(x.data(), y.data(), 2, 4, 1, false, nullptr);
  CHECK(y[0] == 0.5f);
  CHECK(y[1] == 0.0f);
  for (size_t i = 4; i < 8; ++i) CHECK(std::isnan(y[i]));
}

TEST_CASE("bf16 matmul is exact on small integers at any size") {
  for (const int transposed : {0, 1, 2, 3}) {
    const bool ta = transposed & 1, tb = transposed & 2;
    check_matmul<float>(one(64, 64, 64), ta, tb);
    check_matmul<float>(one(1, 1, 1), ta, tb);
    check_matmul<float>(one(3, 5, 7), ta, tb);
    check_matmul<float>(one(65, 63, 33), ta, tb);  // no row is aligned
    check_matmul<float>(one(70, 72, 40), ta, tb);  // aligned, edges on all sides
    check_matmul<float>(one(16, 8, 200), ta, tb);
    check_matmul<bf16>(one(67, 129, 96), ta, tb);
    check_matmul<float>(one(4, 3, 0), ta, tb);  // an empty sum is zero
    check_matmul<float>(one(0, 3, 4), ta, tb);
    check_matmul<float>(one(3, 0, 4), ta, tb);
    check_matmul<float>({3, 17, 24, 16, 17 * 16, 16 * 24, 17 * 24}, ta, tb);
    check_matmul<bf16>({2, 9, 8, 8, 9 * 8, 0, 9 * 8}, ta, tb);  // one b for all
  }
}

TEST_CASE("bf16 matmul of real numbers is as good as its inputs") {
  const auto s = one(70, 50, 300);
  const auto a = random_values<bf16>(s.m * s.k, 10), b = random_values<bf16>(s.k * s.n, 11);
  std::vector<float> c(size_t(s.m * s.n));
  cuda::matmul_bf16<float>(a.data(), b.data(), c.data(), s, false, false, nullptr);
  double error = 0;
  for (int64_t m = 0; m < s.m; ++m)
    for (int64_t n = 0; n < s.n; ++n) {
      double want = 0;
      for (int64_t k = 0; k < s.k; ++k)
        want += double(a[size_t(m * s.k + k)]) * double(b[size_t(k * s.n + n)]);
      error = std::max(error, std::abs(want - double(c[size_t(m * s.n + n)])));
    }
  CHECK(error / largest(c) < 1e-6);
}
