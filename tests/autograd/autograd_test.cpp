#include "autograd/engine.h"

#include "autograd/mode.h"
#include "autograd/variable.h"
#include "ops/ops.h"
#include "tests/support/catch.h"

using namespace tenon;

namespace {

Tensor leaf(double value) {
  const Tensor t = Tensor::scalar(value, DType::f64);
  set_requires_grad(t);
  return t;
}

}  // namespace

TEST_CASE("autograd: gradients add up over uses", "[autograd]") {
  const Tensor x = leaf(3);
  const Tensor y = add(mul(x, x), x);  // x^2 + x
  backward(y);
  CHECK(grad_of(x).item() == 7);
  backward(mul(x, x));
  CHECK(grad_of(x).item() == 13);  // accumulated
  clear_grad(x);
  CHECK_FALSE(grad_of(x).defined());
}

TEST_CASE("autograd: a graph a million nodes deep runs and is freed without recursion",
          "[autograd]") {
  const Tensor x = leaf(1);
  Tensor y = x;
  for (int i = 0; i < 1000000; ++i) y = affine(y, 1, 0);
  backward(y);
  CHECK(grad_of(x).item() == 1);
  Tensor z = x;
  for (int i = 0; i < 1000000; ++i) z = mul(z, x);
  z = Tensor();  // freed without ever running
  CHECK(grad_of(x).item() == 1);
}

TEST_CASE("autograd: hooks run once, after the last use", "[autograd]") {
  const Tensor x = leaf(2);
  int calls = 0;
  double seen = 0;
  set_grad_hook(x, [&](const Tensor& t) {
    ++calls;
    seen = grad_of(t).item();
  });
  backward(add(mul(x, x), affine(x, 5, 0)));
  CHECK(calls == 1);
  CHECK(seen == 9);
  // Also when some uses lie inside a checkpointed function.
  calls = 0;
  clear_grad(x);
  const Tensor y = leaf(4);
  const Tensor in[] = {y};
  const TensorVec out =
      checkpoint([&](std::span<const Tensor> a) { return TensorVec{mul(a[0], mul(x, x))}; }, in);
  backward(add(out[0], affine(x, 3, 0)));
  CHECK(calls == 1);
  CHECK(seen == 2 * 2 * 4 + 3);
  CHECK(grad_of(y).item() == 4);
}

TEST_CASE("autograd: gradients into a flat bucket", "[autograd]") {
  const Tensor bucket = Tensor::full({4}, 99, DType::f64);
  const Tensor x = Tensor::full({2}, 3, DType::f64);
  set_requires_grad(x);
  set_grad(x, bucket.narrow_view(0, 1, 2), true);  // fresh: what is there is overwritten
  CHECK_FALSE(grad_of(x).defined());
  backward(sum(mul(x, x)));
  CHECK(bucket.to_vector<double>() == std::vector<double>{99, 6, 6, 99});
  backward(sum(mul(x, x)));
  CHECK(bucket.to_vector<double>() == std::vector<double>{99, 12, 12, 99});
}

TEST_CASE("autograd: what cannot work says so", "[autograd]") {
  const Tensor x = leaf(2);
  REQUIRE_ERROR(backward(Tensor::scalar(1)), ErrorKind::Usage, "requires a gradient");
  const Tensor y = mul(x, x);
  backward(y);
  REQUIRE_ERROR(backward(y), ErrorKind::Usage, "mul");
  const Tensor ints = Tensor::zeros({2}, DType::i64);
  REQUIRE_ERROR(set_requires_grad(ints), ErrorKind::Usage, "not floating");
  const Tensor v = Tensor::full({3}, 1, DType::f64);
  set_requires_grad(v);
  REQUIRE_ERROR(backward(mul(v, v)), ErrorKind::Usage, "give its gradient");
  REQUIRE_ERROR(add_into(v, v), ErrorKind::Usage, "NoGrad");
  {
    const NoGrad off;
    add_into(v, v);
    CHECK(v.to_vector<double>() == std::vector<double>{2, 2, 2});
  }
  const Tensor w = mul(v, v);
  {
    const NoGrad off;
    add_into(v, v);
  }
  REQUIRE_ERROR(backward(sum(w)), ErrorKind::Usage, "changed by add_into");
}

TEST_CASE("autograd: gradients of gradients", "[autograd]") {
  const Tensor x = leaf(1.5);
  const Tensor y = mul(mul(x, x), x);
  const Tensor one = Tensor::scalar(1, DType::f64);
  const auto g =
      grad(std::span(&y, 1), std::span(&one, 1), std::span(&x, 1), {.create_graph = true});
  CHECK(g[0].item() == Catch::Approx(3 * 1.5 * 1.5));
  const auto gg = grad(std::span(&g[0], 1), std::span(&one, 1), std::span(&x, 1));
  CHECK(gg[0].item() == Catch::Approx(6 * 1.5));
  CHECK_FALSE(grad_of(x).defined());  // grad() leaves the leaves alone
}

TEST_CASE("autograd: views and broadcasting", "[autograd]") {
  const Tensor x = Tensor::from(std::vector<double>{1, 2, 3, 4, 5, 6}, {2, 3});
  set_requires_grad(x);
  const Tensor row = select(x, 0, 1);
  backward(sum(mul(transpose(x, 0, 1), reshape(row, {3, 1}))));
  // d/dx of sum_ij x_ij x_1j: column j of row 0 gets x_1j, row 1 gets x_0j + 2 x_1j.
  CHECK(grad_of(x).to_vector<double>() == std::vector<double>{4, 5, 6, 9, 12, 15});
}
