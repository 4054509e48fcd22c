#include "core/io/tensor_io.h"

#include <cstring>

namespace tenon::io {

Tensor read_tensor(const TensorEntry& entry, ErrorKind kind) {
  const std::optional<DType> dtype = dtype_from_safetensors(entry.dtype);
  check(dtype.has_value(), kind, "tensor '{}' has dtype {}, which this program cannot compute with",
        entry.name, entry.dtype);
  Dims sizes;
  for (const std::int64_t d : entry.shape) sizes.push_back(d);
  Tensor out = Tensor::empty(sizes, *dtype);
  if (entry.data.empty()) return out;
  if (*dtype == DType::boolean) {  // any byte other than 0 and 1 would be an invalid bool
    bool* to = out.data<bool>();
    for (std::size_t i = 0; i < entry.data.size(); ++i) to[i] = entry.data[i] != 0;
  } else {
    std::memcpy(out.raw(), entry.data.data(), entry.data.size());
  }
  return out;
}

TensorToWrite tensor_to_write(std::string name, const Tensor& tensor) {
  check(tensor.is_contiguous() && tensor.device() == Device{}, ErrorKind::Internal,
        "internal: '{}' is not a contiguous host tensor", name);
  TensorSpec spec{std::move(name),
                  std::string(safetensors_dtype(tensor.dtype())),
                  {tensor.sizes().begin(), tensor.sizes().end()}};
  return {std::move(spec), {static_cast<const std::uint8_t*>(tensor.raw()), tensor.bytes()}};
}

}  // namespace tenon::io
