// Nodes of the tape.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/base/intrusive.h"
#include "core/base/small_vec.h"
#include "core/tensor/tensor.h"

namespace tenon {

using TensorVec = SmallVec<Tensor, 4>;

class Node;

// "Gradient number `output` of `node`"; an empty node means that nobody wants it.
struct Edge {
  Ref<Node> node;
  int output = 0;
};

class Node : public RefCounted {
 public:
  Node();
  virtual const char* name() const = 0;
  // Gradients of the outputs (undefined = zero) to gradients of the inputs, one per edge (undefined
  // where not wanted). May be called more than once when the graph is kept.
  virtual TensorVec backward(std::span<const Tensor> grad_outputs) = 0;
  // Frees what was saved; a later backward throws Usage.
  virtual void release() {}

  // Nodes made later have higher numbers, so running the highest first is a topological order.
  uint64_t sequence() const { return sequence_; }
  SmallVec<Edge, 4>& edges() { return edges_; }
  int output_count() const { return output_count_; }
  void set_output_count(int n) { output_count_ = n; }

 protected:
  // A graph can be a chain of millions of nodes: freed with a loop, never by recursion.
  void dispose() override;

 private:
  SmallVec<Edge, 4> edges_;
  uint64_t sequence_;
  int output_count_ = 1;
};

// A tensor kept for backward, with the version it had. unpack() throws when the memory was changed
// since, and says by whom. An output of the node itself is kept without its grad_fn (which would be
// a reference cycle) and gets it back in unpack().
class SavedTensor {
 public:
  SavedTensor() = default;
  static SavedTensor input(const Tensor& t);
  static SavedTensor output(const Tensor& t, int index);
  // `owner` = the node that saved it; `what` = "input 1", for the message.
  Tensor unpack(Node& owner, int position) const;
  bool defined() const { return data_.defined(); }
  size_t bytes() const { return data_.defined() ? data_.bytes() : 0; }
  void reset() { data_ = Tensor(); }

 private:
  Tensor data_;
  uint32_t version_ = 0;
  int output_index_ = -1;
};

}  // namespace tenon
