// Optimizer steps against PyTorch 2: three steps from {0.5, -1, 2} with gradients
// {0.1 step, -2, 0.3}, lr 0.01, weight decay 0.1.
#include <cmath>
#include <limits>

#include "autograd/mode.h"
#include "ops/ops.h"
#include "tests/support/catch.h"

using namespace tenon;

namespace {

Tensor vec(const std::vector<double>& values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())});
}
Tensor gradient(int step) {
  return vec({0.1 * step, -2, 0.3});
}
double worst(const Tensor& got, const std::vector<double>& want) {
  return difference(got, vec(want)).max_abs;
}

}  // namespace

TEST_CASE("adam_step agrees with PyTorch's Adam and AdamW", "[optim]") {
  for (const bool decoupled : {false, true}) {
    const Tensor p = vec({0.5, -1, 2}), m = vec({0, 0, 0}), v = vec({0, 0, 0});
    for (int step = 1; step <= 3; ++step)
      adam_step(p, gradient(step), m, v,
                {.lr = 0.01, .weight_decay = 0.1, .decoupled = decoupled, .step = step});
    CHECK(worst(p, decoupled ? std::vector<double>{0.469299310872, -0.96703298915, 1.964035988999}
                             : std::vector<double>{0.470394584244, -0.970000456175,
                                                   1.970001932452}) < 1e-11);
  }
}

TEST_CASE("sgd_step agrees with PyTorch's Nesterov momentum", "[optim]") {
  const Tensor p = vec({0.5, -1, 2}), velocity = vec({0, 0, 0});
  for (int step = 1; step <= 3; ++step)
    sgd_step(p, gradient(step), velocity,
             {.lr = 0.01, .momentum = 0.9, .weight_decay = 0.1, .nesterov = true});
  CHECK(worst(p, {0.481440961711, -0.831262923961, 1.959824505705}) < 1e-11);
}

TEST_CASE("gradients that are not finite are replaced on request", "[optim]") {
  const double inf = std::numeric_limits<double>::infinity();
  for (const DType dtype : {DType::f32, DType::f64}) {
    const Tensor p = cast(vec({0, 0, 0, 1}), dtype);
    const Tensor g = cast(vec({std::nan(""), inf, -inf, 0.5}), dtype);
    sgd_step(p, g, {}, {.lr = 1, .replace_nonfinite = true});
    CHECK(worst(cast(p, DType::f64), {0, -1e5, 1e5, 0.5}) == 0);
  }
}

TEST_CASE("an average with beta 0 forgets what it held, even NaN", "[optim]") {
  const Tensor ema = vec({std::nan(""), 3}), p = vec({1, 2});
  ema_step(ema, p, 0);
  CHECK(worst(ema, {1, 2}) == 0);
  ema_step(ema, vec({2, 4}), 0.5);
  CHECK(worst(ema, {1.5, 3}) < 1e-15);
}

TEST_CASE("the norm of a gradient is exact enough and independent of pieces", "[optim]") {
  const Tensor g = Tensor::full({200000}, 3, DType::f32);
  CHECK(grad_norm(g) == Catch::Approx(3 * std::sqrt(200000.0)).epsilon(1e-14));
  scale_(g, 0.5);
  CHECK(grad_norm(g) == Catch::Approx(1.5 * std::sqrt(200000.0)).epsilon(1e-14));
}
