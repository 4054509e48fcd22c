// Modules: trees of named parameters. A parameter's full name is its path from the root, which
// equals its name in the official state_dict, so published weights load as they are.
//
//   struct Mlp : Module {
//     Linear fc1{this, "fc1", 64, 256}, fc2{this, "fc2", 256, 64};
//     Mlp(Module* parent, std::string name) : Module(parent, std::move(name)) {}
//     Tensor forward(const Tensor& x) const { return fc2.forward(gelu(fc1.forward(x))); }
//   };
//
// Declaration order is registration order, as in PyTorch. Modules know no device and no
// distribution.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/rng.h"
#include "core/tensor/tensor.h"

namespace tenon::nn {

// Fills a fresh f32 tensor; `key` is already specific to the parameter.
using Init = std::function<void(const Tensor&, RngKey)>;

namespace init {
Init zeros();
Init ones();
Init constant(double value);
// Uniform in +-scale sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010); fans of a weight
// [out, in, k...] count the kernel's positions.
Init xavier_uniform(double scale = 1);
Init normal(double std);
}  // namespace init

class Module;

// A trainable tensor, or (trainable = false) a buffer such as a running mean.
class Parameter {
 public:
  Parameter(Module* owner, std::string name, Dims sizes, Init init, bool trainable = true,
            DType dtype = DType::f32);
  Parameter(const Parameter&) = delete;
  Parameter& operator=(const Parameter&) = delete;

  const std::string& name() const { return name_; }  // within its module
  const Tensor& tensor() const { return tensor_; }
  operator const Tensor&() const { return tensor_; }
  bool trainable() const { return trainable_; }
  const Init& init() const { return init_; }
  // Another home for the value (a view of a flat buffer, EMA weights); same shape and dtype.
  void bind(Tensor t);

 private:
  std::string name_;
  Tensor tensor_;
  Init init_;
  bool trainable_;
};

class Module {
 public:
  Module() = default;                        // a root
  Module(Module* parent, std::string name);  // registers itself with the parent
  virtual ~Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;

  using Named = std::pair<std::string, Parameter*>;
  // Parameters and buffers of the tree with full names, in registration order.
  std::vector<Named> named() const;
  std::vector<Named> named_parameters() const;  // trainable ones only
  int64_t parameter_count() const;              // numbers in the trainable ones

  bool training() const { return training_; }
  void set_training(bool on);  // the whole tree: dropout, batch statistics

 private:
  friend class Parameter;
  void collect(const std::string& prefix, std::vector<Named>& out) const;

  std::string name_;
  std::vector<Parameter*> parameters_;
  std::vector<Module*> children_;
  bool training_ = true;
};

// A list whose items are named by their number: layers.0, layers.1, ...
template <class T>
class ModuleList : public Module {
 public:
  ModuleList(Module* parent, std::string name) : Module(parent, std::move(name)) {}
  template <class... Args>
  T& add(Args&&... args) {
    items_.push_back(
        std::make_unique<T>(this, std::to_string(items_.size()), std::forward<Args>(args)...));
    return *items_.back();
  }
  size_t size() const { return items_.size(); }
  const T& operator[](size_t i) const { return *items_[i]; }
  auto begin() const { return items_.begin(); }
  auto end() const { return items_.end(); }

 private:
  std::vector<std::unique_ptr<T>> items_;
};

// Fills every parameter and buffer with its initial value. The key is folded with the parameter's
// full name, so a value depends on the seed and the name alone, not on order or sharding.
void initialise(const Module& root, uint64_t seed);

}  // namespace tenon::nn
