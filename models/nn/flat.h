// All trainable parameters of a model in one flat buffer, ordered by name: optimizers, EMA,
// gradient norms and communication work on it as one long vector, and an optimizer step is one
// kernel.
#pragma once

#include <string>
#include <vector>

#include "models/nn/module.h"

namespace tenon::nn {

class FlatParameters {
 public:
  struct Entry {
    std::string name;
    Parameter* parameter;
    int64_t offset;  // in elements; entries start at multiples of 16, the gaps stay zero
  };

  // Moves the parameters of the tree into a flat f32 buffer and gives each a gradient that is a
  // view of a second one. The module must outlive this.
  explicit FlatParameters(const Module& root);

  const std::vector<Entry>& entries() const { return entries_; }
  int64_t size() const { return values_.numel(); }  // elements, gaps included
  const Tensor& values() const { return values_; }
  const Tensor& gradients() const { return gradients_; }

  // A buffer of the same layout, zero, for optimizer state or EMA.
  Tensor like(const char* tag) const;
  // The part of a buffer of this layout that belongs to an entry, with the parameter's shape.
  Tensor view(const Tensor& buffer, const Entry& entry) const;
  // Makes the model compute with another buffer (EMA weights); values() brings it back.
  void use(const Tensor& buffer) const;

  // Before a step: the next gradient of each parameter overwrites. After backward, parameters that
  // got none must be cleared: finish_gradients() zeroes them.
  void begin_gradients() const;
  void finish_gradients() const;

 private:
  std::vector<Entry> entries_;
  Tensor values_, gradients_;
};

}  // namespace tenon::nn
