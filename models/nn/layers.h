// Layers: parameters plus one call of an op.
#pragma once

#include "models/nn/module.h"
#include "ops/conv/conv.h"
#include "ops/linear/matmul.h"
#include "ops/norm/group_norm.h"

namespace tenon::nn {

// y = x w^T + b; weight [out, in], bias [out].
struct Linear : Module {
  Parameter weight;
  std::unique_ptr<Parameter> bias;

  Linear(Module* parent, std::string name, int64_t in, int64_t out, bool with_bias = true,
         Init init = init::xavier_uniform())
      : Module(parent, std::move(name)), weight(this, "weight", {out, in}, std::move(init)) {
    if (with_bias) bias = std::make_unique<Parameter>(this, "bias", Dims{out}, init::zeros());
  }
  Tensor forward(const Tensor& x) const {
    return linear(x, weight, bias ? bias->tensor() : Tensor());
  }
};

// Weight [out, in, k, k], bias [out].
struct Conv2d : Module {
  Parameter weight, bias;
  ConvWindow window;

  Conv2d(Module* parent, std::string name, int64_t in, int64_t out, int64_t kernel,
         ConvWindow window, Init init = init::xavier_uniform())
      : Module(parent, std::move(name)),
        weight(this, "weight", {out, in, kernel, kernel}, std::move(init)),
        bias(this, "bias", {out}, init::zeros()),
        window(window) {}
  Tensor forward(const Tensor& x) const { return conv2d(x, weight, bias, window); }
};

// Weight and bias [channels].
struct GroupNorm : Module {
  Parameter weight, bias;
  int64_t groups;
  double eps;

  GroupNorm(Module* parent, std::string name, int64_t channels, int64_t groups, double eps)
      : Module(parent, std::move(name)),
        weight(this, "weight", {channels}, init::ones()),
        bias(this, "bias", {channels}, init::zeros()),
        groups(groups),
        eps(eps) {}
  Tensor forward(const Tensor& x) const {
    return group_norm(x, weight, bias, {.groups = groups, .eps = eps});
  }
  // silu(norm(x + shift)), then dropout with probability p (0 outside training).
  Tensor forward_silu(const Tensor& x, const Tensor& shift = {}, double p = 0,
                      RngKey key = {}) const {
    return group_norm(x, weight, bias,
                      {.groups = groups, .eps = eps, .silu = true, .dropout = p, .key = key.bits},
                      shift);
  }
};

}  // namespace tenon::nn
