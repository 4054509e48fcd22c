// Trains a network with one hidden layer to follow sin(3x), with an installed Tenon.
#include <cstdio>

#include "autograd/engine.h"
#include "autograd/mode.h"
#include "autograd/variable.h"
#include "core/base/rng.h"
#include "ops/ops.h"

using tenon::Tensor;

Tensor uniform(tenon::Dims sizes, tenon::RngKey key) {  // in [-1, 1)
  Tensor t = Tensor::empty(sizes);
  for (int64_t i = 0; i < t.numel(); ++i)
    t.data<float>()[i] = 2 * tenon::uniform_from_bits(key.block(static_cast<uint64_t>(i)).v[0]) - 1;
  return t;
}

int main() {
  const tenon::RngKey key{1};
  const Tensor x = uniform({256, 1}, key.fold("x"));
  const Tensor y = tenon::sin(tenon::affine(x, 3, 0));
  const Tensor weights[] = {uniform({32, 1}, key.fold("w1")), uniform({32}, key.fold("b1")),
                            tenon::affine(uniform({1, 32}, key.fold("w2")), 0.2, 0),
                            Tensor::zeros({1})};
  for (const Tensor& w : weights) tenon::set_requires_grad(w);
  double loss = 1;
  for (int step = 0; step < 2000; ++step) {
    const Tensor hidden = tenon::tanh(tenon::linear(x, weights[0], weights[1]));
    const Tensor out = tenon::linear(hidden, weights[2], weights[3]);
    const Tensor error = tenon::mean(tenon::square(tenon::sub(out, y)));
    tenon::backward(error);
    const tenon::NoGrad no_grad;
    for (const Tensor& w : weights) {
      tenon::add_into(w, tenon::affine(tenon::grad_of(w), -0.05, 0));
      tenon::clear_grad(w);
    }
    loss = error.item();
    if (step % 500 == 0) std::printf("step %d: loss %.5f\n", step, loss);
  }
  std::printf("final loss %.5f\n", loss);
  return loss < 0.02 ? 0 : 1;
}
