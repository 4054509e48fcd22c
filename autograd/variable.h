// What a tensor knows about gradients.
//
// A tensor that an op recorded points to the op's node (grad_fn); a leaf that requires a gradient
// points to an accumulator that adds into its grad. The tape is this graph of nodes: it lives as
// long as a tensor that came from it.
#pragma once

#include <functional>

#include "autograd/node.h"
#include "core/tensor/tensor.h"

namespace tenon {

// Marks a leaf as wanting a gradient (or not). Only floating-point leaves; throws Usage otherwise.
void set_requires_grad(const Tensor& t, bool on = true);
bool requires_grad(const Tensor& t);
bool is_leaf(const Tensor& t);

// The accumulated gradient of a leaf; undefined before the first backward.
Tensor grad_of(const Tensor& leaf);
// Where gradients of this leaf are to be accumulated, for instance a view of a flat bucket. When
// `fresh`, the first gradient overwrites what is there, so nobody has to zero it before.
void set_grad(const Tensor& leaf, Tensor grad, bool fresh = false);
// Forgets the gradient (drops the buffer).
void clear_grad(const Tensor& leaf);
// Keeps the gradient buffer; its next gradient overwrites.
void mark_grad_fresh(const Tensor& leaf);
// True when no gradient arrived since the buffer was marked fresh.
bool grad_is_fresh(const Tensor& leaf);

// Called by backward once per leaf after its *last* gradient of that backward has been added.
using GradHook = std::function<void(const Tensor& leaf)>;
void set_grad_hook(const Tensor& leaf, GradHook hook);

// For the code that records nodes.
Edge gradient_edge(const Tensor& t);  // node is empty when t needs no gradient
void set_grad_fn(const Tensor& t, Ref<Node> node, int output);
Ref<Node> grad_fn(const Tensor& t);  // empty for leaves

}  // namespace tenon
