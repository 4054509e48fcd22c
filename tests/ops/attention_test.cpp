// Attention against PyTorch's numbers, and packed sequences against separate ones.
#include <cmath>

#include "autograd/mode.h"
#include "ops/ops.h"
#include "tests/support/catch.h"

using namespace tenon;

namespace {

Tensor wave(double step, Dims sizes) {
  std::vector<double> values;
  for (int64_t i = 0; i < count_elements(sizes); ++i)
    values.push_back(std::sin(step * static_cast<double>(i)));
  return Tensor::from(values, sizes);
}

}  // namespace

TEST_CASE("causal attention agrees with PyTorch 2", "[attention]") {
  const Dims sizes{1, 2, 3, 2};
  const Tensor o =
      attention(wave(0.7, sizes), wave(1.3, sizes), wave(2.1, sizes), {.causal = true});
  const std::vector<double> want{0.0,          0.863209367, -0.299191527, 0.572661649,
                                 -0.176329832, 0.008880046, 0.033623047,  0.845746831,
                                 -0.602445104, 0.296587251, 0.3615062,    -0.097168801};
  CHECK(difference(o, Tensor::from(want, sizes)).max_abs < 1e-8);
}

TEST_CASE("packed sequences do not see each other", "[attention]") {
  const Dims sizes{1, 2, 150, 8};
  const Tensor q = wave(0.7, sizes), k = wave(1.3, sizes), v = wave(2.1, sizes);
  const Tensor offsets = Tensor::from(std::vector<int64_t>{0, 20, 150}, {3});
  for (const bool causal : {false, true}) {
    const Tensor packed = attention(q, k, v, {.causal = causal}, offsets);
    for (const auto& [start, length] : {std::pair{0, 20}, std::pair{20, 130}}) {
      const auto part = [&, start = start, length = length](const Tensor& t) {
        return narrow(t, 2, start, length);
      };
      const Tensor alone = attention(part(q), part(k), part(v), {.causal = causal});
      CHECK(difference(part(packed), alone).max_abs < 1e-12);
    }
  }
}

TEST_CASE("large scores do not overflow", "[attention]") {
  const Tensor q = Tensor::full({1, 1, 3, 4}, 1e4, DType::f32);
  const Tensor v = Tensor::full({1, 1, 5, 4}, 2, DType::f32);
  const Tensor k = Tensor::full({1, 1, 5, 4}, 1e4, DType::f32);
  CHECK(difference(attention(q, k, v), Tensor::full({1, 1, 3, 4}, 2, DType::f32)).max_abs < 1e-5);
}
