// The end of the tape: adds the gradient of a leaf into its buffer. Internal to autograd/.
#pragma once

#include "autograd/variable.h"

namespace tenon {

class LeafAccumulator;

struct VariableState final : AutogradSlot {
  bool requires_grad = false;
  bool fresh = false;  // the next gradient overwrites `grad`
  Tensor grad;
  Ref<Node> grad_fn;
  int output = 0;
  LeafAccumulator* accumulator = nullptr;  // not owned: edges own it, it clears this when it goes
  GradHook hook;
};

class LeafAccumulator final : public Node {
 public:
  explicit LeafAccumulator(Tensor leaf) : leaf_(std::move(leaf)) {}
  ~LeafAccumulator() override;
  const char* name() const override { return "accumulate"; }
  TensorVec backward(std::span<const Tensor> grads) override;
  const Tensor& leaf() const { return leaf_; }
  void accumulate(const Tensor& grad, bool create_graph);
  void finished();  // runs the hook

 private:
  Tensor leaf_;
};

}  // namespace tenon
