// The list of ops, choosing an implementation by name, and the one gradient that is no derivative.
#include <cmath>

#include "autograd/engine.h"
#include "autograd/variable.h"
#include "ops/ops.h"
#include "tests/support/catch.h"

using namespace tenon;

TEST_CASE("an op that is not there is refused with the nearest name") {
  CHECK(find_op("softmax").traits.inputs == 1);
  REQUIRE_ERROR(find_op("sofmax"), ErrorKind::Usage, "did you mean softmax?");
  REQUIRE_ERROR(force_implementation("sofmax", "ref"), ErrorKind::Usage, "no op 'sofmax'");
}

TEST_CASE("a forced implementation runs, or its absence is an error") {
  const Tensor x = Tensor::from(std::vector<float>{1, 2, 3}, {3});
  const auto free = softmax(x, 0).to_vector<float>();
  force_implementation("softmax", "ref");
  const auto ref = softmax(x, 0).to_vector<float>();
  force_implementation("softmax", "fast");
  REQUIRE_ERROR(softmax(x, 0), ErrorKind::Usage, "softmax: no implementation 'fast' on cpu");
  force_implementation("softmax", "");
  CHECK(softmax(x, 0).to_vector<float>() == free);
  for (size_t i = 0; i < 3; ++i) CHECK(ref[i] == Catch::Approx(free[i]));
}

TEST_CASE("rounding to levels passes the gradient of tanh straight through") {
  const std::vector<double> h = {-1.3, -0.2, 0.1, 0.9, 2.5};
  for (const double levels : {2.0, 5.0}) {
    const Tensor x = Tensor::from(h, {5});
    set_requires_grad(x);
    const Tensor q = quantize_tanh(x, levels);
    CHECK(saved_bytes(q) == x.bytes());  // the input, and nothing else
    for (const double v : q.to_vector<double>()) {
      const double level = (v + 1) / 2 * (levels - 1);
      CHECK(level == Catch::Approx(std::round(level)).margin(1e-12));
    }
    backward(sum(affine(q, 3, 0)));
    const auto g = grad_of(x).to_vector<double>();
    for (size_t i = 0; i < h.size(); ++i) {
      const double t = std::tanh(h[i]);
      CHECK(g[i] == Catch::Approx(3 * (1 - t * t)).epsilon(1e-9));
    }
  }
}
