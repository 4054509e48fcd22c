// Running the tape backward.
#pragma once

#include <functional>
#include <span>
#include <vector>

#include "autograd/node.h"

namespace tenon {

struct BackwardOptions {
  bool create_graph = false;  // record the backward itself, for gradients of gradients
  bool keep_graph = false;  // keep what was saved, for a second backward (implied by create_graph)
};

// Adds d root / d leaf to grad_of(leaf) of every leaf below `root` that requires a gradient.
// `grad` is d L / d root, of root's shape and dtype; for a root of one element it may be undefined
// (= 1). Throws Usage when root has no graph.
void backward(const Tensor& root, const Tensor& grad = {}, BackwardOptions options = {});
void backward(std::span<const Tensor> roots, std::span<const Tensor> grads,
              BackwardOptions options = {});

// Gradients of the roots with respect to `inputs` (any tensors of the graph), without touching
// grad_of. An input that no root depends on gets an undefined tensor.
std::vector<Tensor> grad(std::span<const Tensor> roots, std::span<const Tensor> grad_roots,
                         std::span<const Tensor> inputs, BackwardOptions options = {});

// Recomputation: runs fn without keeping anything but its inputs, and runs it again when the
// gradient is needed. fn must be a pure function of its inputs and of leaves (random numbers come
// from counter-based keys, so they repeat). The result and all gradients equal those of calling fn.
TensorVec checkpoint(const std::function<TensorVec(std::span<const Tensor>)>& fn,
                     std::span<const Tensor> inputs);

// The sums that autograd itself needs, supplied by ops (autograd knows no op).
struct AccumulateOps {
  Tensor (*add)(const Tensor& a, const Tensor& b);        // differentiable
  void (*add_into)(const Tensor& into, const Tensor& x);  // in place, no gradient
};
void set_accumulate_ops(AccumulateOps ops);

// While a checkpointed function runs without recording, ops report the leaves they use here, so
// that backward knows how many gradients each leaf will get.
void note_leaf_use(const Tensor& t);
bool noting_leaf_use();

}  // namespace tenon
