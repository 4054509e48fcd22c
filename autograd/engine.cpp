#include "autograd/engine.h"

#include <algorithm>
#include <queue>
#include <unordered_map>

#include "autograd/accumulator.h"
#include "autograd/mode.h"
#include "core/base/trace.h"

namespace tenon {

namespace {

AccumulateOps g_ops{};
thread_local std::vector<Tensor>* t_noted_leaves = nullptr;
thread_local int t_checkpoint_depth = 0;  // > 0 inside the backward of a checkpoint

VariableState& state_of(const Tensor& leaf) {
  return static_cast<VariableState&>(*leaf.impl()->autograd);
}

}  // namespace

void set_accumulate_ops(AccumulateOps ops) {
  g_ops = ops;
}

bool noting_leaf_use() {
  return t_noted_leaves != nullptr;
}
void note_leaf_use(const Tensor& t) {
  if (t_noted_leaves && is_leaf(t) && requires_grad(t)) t_noted_leaves->push_back(t);
}

TensorVec LeafAccumulator::backward(std::span<const Tensor>) {
  TENON_ASSERT(false);
}

void LeafAccumulator::accumulate(const Tensor& grad, bool create_graph) {
  check(grad.sizes() == leaf_.sizes() && grad.dtype() == leaf_.dtype(), ErrorKind::Internal,
        "gradient {} arrived at a leaf {}", grad.describe(), leaf_.describe());
  VariableState& s = state_of(leaf_);
  if (s.fresh && s.grad.defined()) {
    s.grad.copy_from(grad);
    s.fresh = false;
  } else if (!s.grad.defined()) {
    // A private copy unless nobody else can see this memory: a gradient may be shared by two
    // leaves. Channels-last stays so: a recomputed function passes it on to those before it.
    const bool channels_last = grad.is_channels_last();
    const bool ours = grad.use_count_is_one() && grad.storage()->use_count() == 1 &&
                      (grad.is_contiguous() || channels_last);
    if (create_graph) {
      s.grad = grad;
    } else if (ours) {
      s.grad = grad.detach();
    } else {
      s.grad = channels_last ? Tensor::empty_strided(grad.sizes(), grad.strides(), grad.dtype(),
                                                     grad.device())
                             : Tensor::empty(grad.sizes(), grad.dtype(), grad.device());
      s.grad.copy_from(grad);
    }
    s.fresh = false;
  } else if (create_graph) {
    s.grad = g_ops.add(s.grad, grad);
  } else {
    g_ops.add_into(s.grad, grad);
  }
}

void LeafAccumulator::finished() {
  if (const GradHook& hook = state_of(leaf_).hook) hook(leaf_);
}

namespace {

// One run of the tape. Nodes run in order of falling sequence number; a node waits in the heap from
// the first gradient it gets until it is the highest left, by when all its users have run.
class Run {
 public:
  Run(BackwardOptions options) : options_(options) { options_.keep_graph |= options_.create_graph; }

  void seed(const Tensor& root, const Tensor& grad) {
    const Edge edge = gradient_edge(root);
    check(static_cast<bool>(edge.node), ErrorKind::Usage,
          "backward: {} does not depend on anything that requires a gradient", root.describe());
    Tensor g = grad;
    if (!g.defined()) {
      check(root.numel() == 1, ErrorKind::Usage,
            "backward: root {} has {} elements; give its gradient", root.describe(), root.numel());
      g = Tensor::full(root.sizes(), 1.0, root.dtype(), root.device());
    }
    check(g.sizes() == root.sizes() && g.dtype() == root.dtype(), ErrorKind::Usage,
          "backward: gradient {} for a root {}", g.describe(), root.describe());
    count_uses(edge.node.get());
    deliver(edge, g);
  }

  // Tensors whose gradients are wanted as results instead of being added to leaves.
  void capture(std::span<const Tensor> inputs) {
    capturing_ = true;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Edge e = gradient_edge(inputs[i]);
      if (e.node) captures_[e.node.get()].push_back({e.output, i});
    }
    captured_.resize(inputs.size());
  }

  void run() {
    std::unique_ptr<NoGrad> mode =
        options_.create_graph ? std::unique_ptr<NoGrad>() : std::make_unique<NoGrad>();
    while (!heap_.empty()) {
      Node* node = heap_.top().second;
      heap_.pop();
      auto found = pending_.find(node);
      Ref<Node> keep = std::move(found->second.node);
      TensorVec grads = std::move(found->second.grads);
      pending_.erase(found);
      if (capturing_)
        if (const auto it = captures_.find(node); it != captures_.end())
          for (const auto& [output, slot] : it->second)
            captured_[slot] = grads[static_cast<size_t>(output)];
      trace(Trace::Graph, "backward of {}", node->name());
      TensorVec out = node->backward(grads);
      grads.clear();
      if (!options_.keep_graph) node->release();
      TENON_ASSERT(out.size() == node->edges().size());
      for (size_t i = 0; i < out.size(); ++i) {
        const Edge& edge = node->edges()[i];
        if (!edge.node) continue;
        Tensor g = std::move(out[i]);
        deliver(edge, std::move(g));
      }
    }
  }

  std::vector<Tensor> take_captured() { return std::move(captured_); }

 private:
  struct Pending {
    Ref<Node> node;
    TensorVec grads;
  };

  // How many gradients each leaf of the graph will get, so that its hook can run after the last.
  void count_uses(Node* root) {
    std::vector<Node*> stack;
    const auto visit = [&](Node* n) {
      if (auto* leaf = dynamic_cast<LeafAccumulator*>(n))
        ++uses_[leaf];
      else if (seen_.emplace(n, true).second)
        stack.push_back(n);
    };
    visit(root);
    while (!stack.empty()) {
      Node* n = stack.back();
      stack.pop_back();
      for (const Edge& e : n->edges())
        if (e.node) visit(e.node.get());
    }
  }

  void deliver(const Edge& edge, Tensor grad) {
    Node* node = edge.node.get();
    if (auto* leaf = dynamic_cast<LeafAccumulator*>(node)) {
      if (capturing_) {
        if (const auto it = captures_.find(node); grad.defined() && it != captures_.end())
          for (const auto& [output, slot] : it->second) add_to(captured_[slot], grad);
        return;
      }
      if (grad.defined()) leaf->accumulate(std::move(grad), options_.create_graph);
      if (--uses_[leaf] == 0 && t_checkpoint_depth == 0) leaf->finished();
      return;
    }
    Pending& p = pending_[node];
    if (!p.node) {
      p.node = edge.node;
      p.grads.resize(static_cast<size_t>(node->output_count()));
      heap_.push({node->sequence(), node});
    }
    if (grad.defined()) add_to(p.grads[static_cast<size_t>(edge.output)], std::move(grad));
  }

  void add_to(Tensor& sum, Tensor grad) {
    if (!sum.defined()) {
      sum = std::move(grad);
      return;
    }
    // In place where nobody else can see either the tensor or its memory.
    if (!options_.create_graph && sum.use_count_is_one() && sum.storage()->use_count() == 1)
      g_ops.add_into(sum, grad);
    else if (!options_.create_graph && grad.use_count_is_one() &&
             grad.storage()->use_count() == 1) {
      g_ops.add_into(grad, sum);
      sum = std::move(grad);
    } else
      sum = g_ops.add(sum, grad);
  }

  BackwardOptions options_;
  std::priority_queue<std::pair<uint64_t, Node*>> heap_;
  std::unordered_map<Node*, Pending> pending_;
  std::unordered_map<Node*, bool> seen_;
  std::unordered_map<LeafAccumulator*, int64_t> uses_;
  bool capturing_ = false;
  std::unordered_map<Node*, std::vector<std::pair<int, size_t>>> captures_;
  std::vector<Tensor> captured_;
};

}  // namespace

void backward(std::span<const Tensor> roots, std::span<const Tensor> grads,
              BackwardOptions options) {
  TENON_ASSERT(roots.size() == grads.size());
  Run run(options);
  for (size_t i = 0; i < roots.size(); ++i) run.seed(roots[i], grads[i]);
  run.run();
}

void backward(const Tensor& root, const Tensor& grad, BackwardOptions options) {
  backward(std::span(&root, 1), std::span(&grad, 1), options);
}

std::vector<Tensor> grad(std::span<const Tensor> roots, std::span<const Tensor> grad_roots,
                         std::span<const Tensor> inputs, BackwardOptions options) {
  TENON_ASSERT(roots.size() == grad_roots.size());
  Run run(options);
  run.capture(inputs);
  for (size_t i = 0; i < roots.size(); ++i) run.seed(roots[i], grad_roots[i]);
  run.run();
  return run.take_captured();
}

namespace {

// Keeps the inputs of a function and runs it again when its gradient is asked for.
class CheckpointNode final : public Node {
 public:
  CheckpointNode(std::function<TensorVec(std::span<const Tensor>)> fn,
                 std::span<const Tensor> inputs)
      : fn_(std::move(fn)) {
    for (const Tensor& t : inputs) inputs_.push_back(SavedTensor::input(t));
  }
  const char* name() const override { return "checkpoint"; }

  TensorVec backward(std::span<const Tensor> grad_outputs) override {
    check(!released_, ErrorKind::Usage, "backward: the graph was freed by an earlier backward");
    check(!grad_enabled(), ErrorKind::Usage,
          "checkpoint: gradients of gradients are not supported; use it without create_graph");
    TensorVec copies;
    {
      for (size_t i = 0; i < inputs_.size(); ++i) {
        const Tensor original = inputs_[i].unpack(*this, static_cast<int>(i));
        Tensor copy = original.defined() ? original.detach() : Tensor();
        if (edges()[i].node) set_requires_grad(copy);
        copies.push_back(std::move(copy));
      }
    }
    TensorVec outputs;
    {
      const EnableGrad on;
      outputs = fn_(copies);
    }
    std::vector<Tensor> roots, grads;
    for (size_t i = 0; i < outputs.size(); ++i)
      if (grad_outputs[i].defined() && requires_grad(outputs[i])) {
        roots.push_back(outputs[i]);
        grads.push_back(grad_outputs[i]);
      }
    ++t_checkpoint_depth;
    struct Leave {
      ~Leave() { --t_checkpoint_depth; }
    } leave;
    outputs.clear();
    if (!roots.empty()) tenon::backward(roots, grads);
    TensorVec result(edges().size());
    for (size_t i = 0; i < copies.size(); ++i)
      if (edges()[i].node) result[i] = grad_of(copies[i]);
    return result;  // edges past the inputs only count the uses of leaves: no gradient of their own
  }

  void release() override {
    inputs_.clear();
    released_ = true;
  }

 private:
  std::function<TensorVec(std::span<const Tensor>)> fn_;
  std::vector<SavedTensor> inputs_;
  bool released_ = false;
};

}  // namespace

TensorVec checkpoint(const std::function<TensorVec(std::span<const Tensor>)>& fn,
                     std::span<const Tensor> inputs) {
  if (!grad_enabled()) return fn(inputs);
  std::vector<Tensor> leaves;
  std::vector<Tensor>* const outer = t_noted_leaves;
  TensorVec outputs;
  {
    const NoGrad off;
    t_noted_leaves = &leaves;
    struct Restore {
      std::vector<Tensor>* outer;
      ~Restore() { t_noted_leaves = outer; }
    } restore{outer};
    outputs = fn(inputs);
  }
  const auto is_input = [&](const Tensor& t) {
    return std::any_of(inputs.begin(), inputs.end(), [&](const Tensor& x) { return x.same(t); });
  };
  auto node = make_ref<CheckpointNode>(fn, inputs);
  bool any = false;
  for (const Tensor& t : inputs) {
    node->edges().push_back(t.defined() ? gradient_edge(t) : Edge{});
    any |= static_cast<bool>(node->edges().back().node);
  }
  for (const Tensor& leaf : leaves)
    if (!is_input(leaf)) {
      node->edges().push_back(gradient_edge(leaf));
      any = true;
    }
  if (!any) return outputs;
  node->set_output_count(static_cast<int>(outputs.size()));
  for (size_t i = 0; i < outputs.size(); ++i) {
    // Fresh handles: an output may be one of the inputs, whose own state must not change.
    outputs[i] = outputs[i].detach();
    if (is_float(outputs[i].dtype())) set_grad_fn(outputs[i], node, static_cast<int>(i));
  }
  return outputs;
}

}  // namespace tenon
