#include "models/nn/flat.h"

#include <algorithm>

#include "autograd/variable.h"
#include "core/memory/allocator.h"

namespace tenon::nn {

namespace {
constexpr int64_t kAlign = 16;  // elements: one cache line
}

FlatParameters::FlatParameters(const Module& root) {
  for (const auto& [name, p] : root.named_parameters()) entries_.push_back({name, p, 0});
  std::sort(entries_.begin(), entries_.end(),
            [](const Entry& a, const Entry& b) { return a.name < b.name; });
  int64_t size = 0;
  for (size_t i = 0; i < entries_.size(); ++i) {
    check(i == 0 || entries_[i].name != entries_[i - 1].name, ErrorKind::Internal,
          "two parameters are named {}", entries_[i].name);
    entries_[i].offset = size;
    size += (entries_[i].parameter->tensor().numel() + kAlign - 1) / kAlign * kAlign;
  }
  {
    const MemoryTag tag("weights");
    values_ = Tensor::zeros({size});
  }
  gradients_ = like("gradients");
  for (const Entry& e : entries_) {
    const Tensor home = view(values_, e);
    home.copy_from(e.parameter->tensor());
    e.parameter->bind(home);
    set_requires_grad(home);
    set_grad(home, view(gradients_, e), true);
  }
}

Tensor FlatParameters::like(const char* tag) const {
  const MemoryTag scope(tag);
  return Tensor::zeros({size()});
}

Tensor FlatParameters::view(const Tensor& buffer, const Entry& entry) const {
  const Dims& sizes = entry.parameter->tensor().sizes();
  return Tensor::view_of(buffer.storage(), sizes, contiguous_strides(sizes),
                         buffer.offset() + entry.offset, buffer.dtype());
}

void FlatParameters::use(const Tensor& buffer) const {
  for (const Entry& e : entries_) {
    const Tensor home = view(buffer, e);
    if (buffer.same(values_)) {
      set_requires_grad(home);
      set_grad(home, view(gradients_, e), true);
    }
    e.parameter->bind(home);
  }
}

void FlatParameters::begin_gradients() const {
  for (const Entry& e : entries_) mark_grad_fresh(e.parameter->tensor());
}

void FlatParameters::finish_gradients() const {
  for (const Entry& e : entries_)
    if (grad_is_fresh(e.parameter->tensor())) view(gradients_, e).zero();
}

}  // namespace tenon::nn
