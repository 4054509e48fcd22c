// Convolutions of the size of real layers: several blocks, panels and pieces. The walker's samples
// are small; here the implementations are compared with each other.
#include <string>
#include <vector>

#include "autograd/mode.h"
#include "core/base/rng.h"
#include "ops/ops.h"
#include "tests/support/catch.h"

using namespace tenon;

namespace {

Tensor random(Dims sizes, uint64_t seed, bool last) {
  std::vector<float> v(static_cast<size_t>(count_elements(sizes)));
  for (size_t i = 0; i < v.size(); i++)
    v[i] = 2 * uniform_from_bits(RngKey{seed}.block(i).v[0]) - 1;
  const Tensor t = Tensor::from(v, std::move(sizes));
  return last ? channels_last(t) : t;
}

// All implementations that take the call, against the one by patches and gemm in f64.
void compare(const OpInfo& op, const void* attrs, const TensorVec& in) {
  TensorVec exact;
  for (const Tensor& t : in) exact.push_back(t.defined() ? cast(t, DType::f64) : t);
  Tensor want;
  for (const Implementation& impl : op.implementations[0])
    if (std::string(impl.name) == "gemm") want = run_implementation(op, impl, attrs, exact)[0];
  int ran = 0;
  for (const Implementation& impl : op.implementations[0]) {
    if (std::string(impl.name) == "ref") continue;
    Tensor got;
    try {
      got = run_implementation(op, impl, attrs, in)[0];
    } catch (const Error&) {
      continue;  // refused
    }
    ran++;
    INFO(op.traits.name << " by " << impl.name);
    CHECK(difference(cast(got, DType::f64), want).relative() < 1e-5);
  }
  CHECK(ran > 0);
}

void compare_passes(int64_t n, int64_t ci, int64_t co, int64_t h, int64_t w, const ConvWindow& a,
                    bool last) {
  const NoGrad off;
  const Tensor x = random({n, ci, h, w}, 1, last),
               weight = random({co, ci / a.groups, 3, 3}, 2, false);
  const Tensor bias = random({co}, 3, false);
  const Tensor y = conv2d(x, weight, bias, a);
  const Tensor g = random(y.sizes(), 4, last);
  INFO(x.describe() << " by " << weight.describe());
  compare(op_info<Conv2d>(), &a, {x, weight, bias});
  const Conv2dInputGrad::Attrs to_input{a, h, w};
  compare(op_info<Conv2dInputGrad>(), &to_input, {g, weight});
  const Conv2dWeightGrad::Attrs to_weight{a, 3, 3};
  compare(op_info<Conv2dWeightGrad>(), &to_weight, {x, g});
}

}  // namespace

TEST_CASE("implementations of conv2d agree on layers of real size", "[conv]") {
  for (const bool last : {true, false}) {
    compare_passes(2, 64, 48, 16, 16, conv_window(1, 1), last);
    compare_passes(3, 33, 65, 9, 15, conv_window(1, 1), last);  // odd sizes, ragged panels
    compare_passes(1, 16, 80, 20, 6, conv_window(1, 2), last);
    compare_passes(1, 24, 24, 8, 8, {1, 1, 0, 2, 1, 0, 1, 1, 1}, last);  // uneven padding
    compare_passes(2, 32, 32, 9, 9, conv_window(2, 1), last);
    compare_passes(1, 32, 32, 9, 9, conv_window(1, 2, 2, 4), last);
  }
}

TEST_CASE("conv_transpose2d is the transpose of conv2d", "[conv]") {
  const NoGrad off;
  const ConvWindow a = conv_window(2, 1);
  const Tensor x = random({2, 3, 5, 6}, 1, false), w = random({3, 4, 3, 3}, 2, false);
  const Tensor y = conv_transpose2d(x, w, {}, a, 1, 0);
  REQUIRE(y.sizes() == Dims{2, 4, 10, 11});
  // <conv_transpose(x), u> = <x, conv(u)>
  const Tensor u = random(y.sizes(), 3, false);
  const double left = sum(mul(y, u)).item(), right = sum(mul(x, conv2d(u, w, {}, a))).item();
  CHECK(left == Catch::Approx(right).epsilon(1e-4));
  REQUIRE_ERROR(conv_transpose2d(x, w, {}, a, 2, 0), ErrorKind::Usage, "conv_transpose2d");
}
