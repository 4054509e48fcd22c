#include "autograd/variable.h"

#include "autograd/accumulator.h"
#include "autograd/mode.h"

namespace tenon {

namespace {

VariableState* find(const Tensor& t) {
  return static_cast<VariableState*>(t.impl()->autograd.get());
}
VariableState& state(const Tensor& t) {
  if (!t.impl()->autograd) t.impl()->autograd = std::make_unique<VariableState>();
  return *find(t);
}

}  // namespace

void set_requires_grad(const Tensor& t, bool on) {
  check(!on || is_float(t.dtype()), ErrorKind::Usage, "set_requires_grad: {} is not floating point",
        t.describe());
  check(is_leaf(t), ErrorKind::Usage,
        "set_requires_grad: {} is the result of an op; detach() it first", t.describe());
  state(t).requires_grad = on;
}

bool requires_grad(const Tensor& t) {
  const VariableState* s = find(t);
  return s && (s->requires_grad || s->grad_fn);
}

bool is_leaf(const Tensor& t) {
  const VariableState* s = find(t);
  return !s || !s->grad_fn;
}

Tensor grad_of(const Tensor& leaf) {
  const VariableState* s = find(leaf);
  return s && !s->fresh ? s->grad : Tensor();
}

void set_grad(const Tensor& leaf, Tensor grad, bool fresh) {
  check(!grad.defined() || (grad.sizes() == leaf.sizes() && grad.dtype() == leaf.dtype()),
        ErrorKind::Usage, "set_grad: {} for a tensor {}", grad.describe(), leaf.describe());
  state(leaf).grad = std::move(grad);
  state(leaf).fresh = fresh;
}

void clear_grad(const Tensor& leaf) {
  if (VariableState* s = find(leaf)) {
    s->grad = Tensor();
    s->fresh = false;
  }
}

void mark_grad_fresh(const Tensor& leaf) {
  state(leaf).fresh = true;
}
bool grad_is_fresh(const Tensor& leaf) {
  const VariableState* s = find(leaf);
  return s && s->fresh;
}

void set_grad_hook(const Tensor& leaf, GradHook hook) {
  state(leaf).hook = std::move(hook);
}

Edge gradient_edge(const Tensor& t) {
  VariableState* s = find(t);
  if (!s) return {};
  if (s->grad_fn) return {s->grad_fn, s->output};
  if (!s->requires_grad) return {};
  if (!s->accumulator) {
    auto node = make_ref<LeafAccumulator>(t);
    s->accumulator = node.get();
    return {node, 0};
  }
  return {Ref<Node>(s->accumulator), 0};
}

void set_grad_fn(const Tensor& t, Ref<Node> node, int output) {
  VariableState& s = state(t);
  s.grad_fn = std::move(node);
  s.output = output;
}

Ref<Node> grad_fn(const Tensor& t) {
  const VariableState* s = find(t);
  return s ? s->grad_fn : Ref<Node>();
}

LeafAccumulator::~LeafAccumulator() {
  if (VariableState* s = find(leaf_)) s->accumulator = nullptr;
}

}  // namespace tenon
