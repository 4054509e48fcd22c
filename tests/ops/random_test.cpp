// Random numbers: the same bits from every implementation, and the right distribution.
#include <algorithm>
#include <cmath>

#include "ops/ops.h"
#include "tests/support/catch.h"

using namespace tenon;

namespace {

// The output of each implementation of a call that this processor can run.
template <class Op>
std::vector<std::vector<float>> all_implementations(const typename Op::Attrs& attrs,
                                                    const Tensor& in) {
  const OpInfo& op = find_op(Op::traits.name);
  std::vector<std::vector<float>> out;
  for (const Implementation& impl : op.implementations[0]) {
    try {
      const TensorVec got = run_implementation(op, impl, &attrs, Inputs(&in, 1));
      out.push_back(got[0].to_vector<float>());
    } catch (const Error& e) {
      REQUIRE(e.message().find("refused") != std::string::npos);
    }
  }
  return out;
}

}  // namespace

TEST_CASE("every implementation gives the same random bits", "[random]") {
  const auto normals = all_implementations<RandomNormal>({{3, 12345}, RngKey{4}}, {});
  const auto uniforms = all_implementations<RandomUniform>({{3, 12345}, RngKey{4}}, {});
  REQUIRE(normals.size() >= 2);
  for (const auto& v : normals) CHECK(v == normals[0]);
  for (const auto& v : uniforms) CHECK(v == uniforms[0]);
}

TEST_CASE("normal numbers have the moments of the normal distribution", "[random]") {
  const auto v = random_normal({400000}, RngKey{11}).to_vector<double>();
  double sum = 0, square = 0, fourth = 0;
  for (const double x : v) {
    sum += x;
    square += x * x;
    fourth += x * x * x * x;
  }
  const double n = static_cast<double>(v.size());  // limits: 5 standard errors
  CHECK(std::abs(sum / n) < 5 / std::sqrt(n));
  CHECK(std::abs(square / n - 1) < 5 * std::sqrt(2 / n));
  CHECK(std::abs(fourth / n - 3) < 5 * std::sqrt(96 / n));
}

TEST_CASE("a row's numbers do not depend on the batch it is in", "[random]") {
  const Tensor all = Tensor::from(std::vector<int64_t>{5, 9, 2}, {3});
  const Tensor one = Tensor::from(std::vector<int64_t>{9}, {1});
  const Tensor a = random_normal({3, 2, 301}, RngKey{1}, DType::f32, {}, all);
  const Tensor b = random_normal({1, 2, 301}, RngKey{1}, DType::f32, {}, one);
  CHECK(narrow(a, 0, 1, 1).to_vector<float>() == b.to_vector<float>());
  CHECK(narrow(a, 0, 0, 1).to_vector<float>() != b.to_vector<float>());
}

TEST_CASE("dropout keeps the share it should and its gradient has the same mask", "[random]") {
  Tensor x = Tensor::full({100000}, 1.0);
  const Tensor y = dropout(x, 0.3, RngKey{3});
  const Tensor g = apply<Dropout>({0.3, RngKey{3}}, {x})[0];
  CHECK(y.to_vector<float>() == g.to_vector<float>());
  CHECK(std::abs(mean(y).item() - 1.0) < 0.011);  // 5 standard errors
  CHECK_THROWS_AS(dropout(x, 1.0, RngKey{3}), Error);
}

TEST_CASE("randperm holds each number once", "[random]") {
  auto v = randperm(1000, RngKey{2}).to_vector<int64_t>();
  CHECK(!std::is_sorted(v.begin(), v.end()));
  std::sort(v.begin(), v.end());
  for (size_t i = 0; i < v.size(); ++i) REQUIRE(v[i] == static_cast<int64_t>(i));
}

TEST_CASE("an index outside says which, where and in what", "[index]") {
  const Tensor weight = Tensor::zeros({4, 2});
  const Tensor ids = Tensor::from(std::vector<int64_t>{1, 7}, {2});
  try {
    embedding(weight, ids);
    FAIL("accepted");
  } catch (const Error& e) {
    CHECK(e.message() == "embedding: index 7 at position 1 is outside [0, 4)");
  }
}
