#include "autograd/node.h"

#include <atomic>
#include <vector>

#include "autograd/variable.h"

namespace tenon {

namespace {
std::atomic<uint64_t> g_sequence{1};
}

Node::Node() : sequence_(g_sequence.fetch_add(1, std::memory_order_relaxed)) {}

void Node::dispose() {
  // Deleting a node drops its edges and saved tensors, which may dispose the next node: collect
  // those in a list and delete them from the outermost call.
  thread_local std::vector<Node*> pending;
  thread_local bool draining = false;
  pending.push_back(this);
  if (draining) return;
  draining = true;
  while (!pending.empty()) {
    Node* node = pending.back();
    pending.pop_back();
    delete node;
  }
  draining = false;
}

SavedTensor SavedTensor::input(const Tensor& t) {
  SavedTensor s;
  if (!t.defined()) return s;
  s.data_ = t;
  s.version_ = t.storage()->version();
  return s;
}

SavedTensor SavedTensor::output(const Tensor& t, int index) {
  SavedTensor s;
  s.data_ = t.detach();
  s.version_ = t.storage()->version();
  s.output_index_ = index;
  return s;
}

Tensor SavedTensor::unpack(Node& owner, int position) const {
  if (!data_.defined()) return {};
  const uint32_t now = data_.storage()->version();
  if (now != version_)
    throw_hint(
        ErrorKind::Usage, "change it after backward, or change a copy",
        "backward of {}: its saved {} {} ({}) was changed after the forward pass: version {}, "
        "now {}, last changed by {}",
        owner.name(), output_index_ >= 0 ? "output" : "input",
        output_index_ >= 0 ? output_index_ : position, data_.describe(), version_, now,
        data_.storage()->modified_by());
  if (output_index_ < 0) return data_;
  Tensor t = data_.detach();
  set_grad_fn(t, Ref<Node>(&owner), output_index_);
  return t;
}

}  // namespace tenon
