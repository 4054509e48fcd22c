#include "models/nn/module.h"

#include <cmath>

namespace tenon::nn {

namespace init {

Init constant(double value) {
  return [value](const Tensor& t, RngKey) {
    std::fill_n(t.data<float>(), t.numel(), static_cast<float>(value));
  };
}
Init zeros() {
  return constant(0);
}
Init ones() {
  return constant(1);
}

Init xavier_uniform(double scale) {
  return [scale](const Tensor& t, RngKey key) {
    TENON_ASSERT(t.rank() >= 2);
    int64_t positions = 1;
    for (int64_t d = 2; d < t.rank(); ++d) positions *= t.size(d);
    const double fans = static_cast<double>((t.size(0) + t.size(1)) * positions);
    const double bound = scale * std::sqrt(6.0 / fans);
    float* p = t.data<float>();
    for (int64_t i = 0; i < t.numel(); ++i) {
      const uint32_t bits = key.block(static_cast<uint64_t>(i) / 4).v[i % 4];
      p[i] = static_cast<float>((2.0 * uniform_from_bits(bits) - 1.0) * bound);
    }
  };
}

Init normal(double std) {
  return [std](const Tensor& t, RngKey key) {
    float* p = t.data<float>();
    for (int64_t i = 0; i < t.numel(); i += 2) {
      const Philox4 r = key.block(static_cast<uint64_t>(i) / 4);
      float pair[2];
      normal_pair(r.v[i % 4], r.v[i % 4 + 1], &pair[0], &pair[1]);
      p[i] = static_cast<float>(pair[0] * std);
      if (i + 1 < t.numel()) p[i + 1] = static_cast<float>(pair[1] * std);
    }
  };
}

}  // namespace init

Parameter::Parameter(Module* owner, std::string name, Dims sizes, Init init, bool trainable,
                     DType dtype)
    : name_(std::move(name)),
      tensor_(Tensor::zeros(std::move(sizes), dtype)),
      init_(std::move(init)),
      trainable_(trainable) {
  owner->parameters_.push_back(this);
}

void Parameter::bind(Tensor t) {
  check(t.sizes() == tensor_.sizes() && t.dtype() == tensor_.dtype(), ErrorKind::Internal,
        "parameter {}: {} in place of {}", name_, t.describe(), tensor_.describe());
  tensor_ = std::move(t);
}

Module::Module(Module* parent, std::string name) : name_(std::move(name)) {
  parent->children_.push_back(this);
}

void Module::collect(const std::string& prefix, std::vector<Named>& out) const {
  for (Parameter* p : parameters_) out.emplace_back(prefix + p->name(), p);
  for (const Module* child : children_) child->collect(prefix + child->name_ + ".", out);
}

std::vector<Module::Named> Module::named() const {
  std::vector<Named> out;
  collect("", out);
  return out;
}

std::vector<Module::Named> Module::named_parameters() const {
  std::vector<Named> out = named();
  std::erase_if(out, [](const Named& n) { return !n.second->trainable(); });
  return out;
}

int64_t Module::parameter_count() const {
  int64_t n = 0;
  for (const auto& [name, p] : named_parameters()) n += p->tensor().numel();
  return n;
}

void Module::set_training(bool on) {
  training_ = on;
  for (Module* child : children_) child->set_training(on);
}

void initialise(const Module& root, uint64_t seed) {
  const RngKey key = RngKey{seed}.fold("initialise");
  for (const auto& [name, p] : root.named()) p->init()(p->tensor(), key.fold(name.c_str()));
}

}  // namespace tenon::nn
