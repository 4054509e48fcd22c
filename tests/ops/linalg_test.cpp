#include <cmath>
#include <limits>

#include "autograd/mode.h"
#include "ops/ops.h"
#include "tests/support/catch.h"

using namespace tenon;

namespace {

Tensor wave(Dims sizes) {
  std::vector<double> values;
  for (int64_t i = 0; i < count_elements(sizes); ++i)
    values.push_back(std::sin(1.7 * static_cast<double>(i)));
  return Tensor::from(values, sizes);
}

}  // namespace

TEST_CASE("decompositions multiply back to the matrix", "[linalg]") {
  const Tensor x = wave({3, 4, 4});
  const Tensor symmetric = matmul(x, x, false, true);
  const auto [w, v] = eigh(symmetric);
  CHECK(difference(matmul(mul(v, unsqueeze(w, -2)), v, false, true), symmetric).max_abs < 1e-12);
  for (const Dims& sizes : {Dims{2, 5, 3}, Dims{2, 3, 5}}) {
    const Tensor y = wave(sizes);
    const auto [u, s, right] = svd(y);
    CHECK(difference(matmul(mul(u, unsqueeze(s, -2)), right, false, true), y).max_abs < 1e-12);
  }
  const Tensor root = matrix_sqrt_psd(symmetric);
  CHECK(difference(matmul(root, root), symmetric).max_abs < 1e-7);
}

TEST_CASE("matrices that are not finite are refused", "[linalg]") {
  const Tensor bad = Tensor::full({2, 2}, std::nan(""), DType::f64);
  REQUIRE_ERROR(eigh(bad), ErrorKind::NonFinite, "eigh");
  REQUIRE_ERROR(svd(bad), ErrorKind::NonFinite, "svd");
}
