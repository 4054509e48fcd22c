// The list of ops, and choosing an implementation by name.
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
