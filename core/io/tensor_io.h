// Tensors from and to safetensors entries.
#pragma once

#include "core/io/safetensors.h"
#include "core/tensor/tensor.h"

namespace tenon::io {

// A copy of the entry's values on the host, in the file's dtype. An error of kind `kind` for a
// dtype the engine does not have.
Tensor read_tensor(const TensorEntry& entry, ErrorKind kind = ErrorKind::Checkpoint);

// Describes a contiguous host tensor for a writer; the tensor must outlive the write.
TensorToWrite tensor_to_write(std::string name, const Tensor& tensor);

}  // namespace tenon::io
