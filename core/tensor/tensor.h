// The tensor: a view (shape, strides, offset, dtype) of a shared storage. Copying a Tensor copies a
// pointer. Nothing here computes: arithmetic lives in ops/, gradients in autograd/.
#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/base/intrusive.h"
#include "core/base/small_vec.h"
#include "core/dtype/dtype.h"
#include "core/memory/storage.h"

namespace tenon {

// Autograd's slot in a tensor; what it holds is autograd's business (autograd/variable.h).
class AutogradSlot {
 public:
  virtual ~AutogradSlot() = default;
};

struct TensorImpl final : RefCounted {
  Ref<Storage> storage;
  Dims sizes, strides;  // strides in elements
  int64_t offset = 0;   // in elements
  int64_t numel = 1;
  DType dtype = DType::f32;
  bool contiguous = true;
  std::unique_ptr<AutogradSlot> autograd;
};

Dims contiguous_strides(std::span<const int64_t> sizes);
// Strides of a rank-4 tensor [N,C,H,W] whose memory order is N,H,W,C.
Dims channels_last_strides(std::span<const int64_t> sizes);
// Product of sizes; throws Usage on a negative size or on overflow of int64.
int64_t count_elements(std::span<const int64_t> sizes);
// "[2, 3]".
std::string to_string(std::span<const int64_t> dims);

class Tensor {
 public:
  Tensor() = default;  // undefined
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}

  // ---- making one; memory is uninitialised for empty() ----
  static Tensor empty(Dims sizes, DType dtype = DType::f32, Device device = {});
  static Tensor empty_strided(Dims sizes, Dims strides, DType dtype, Device device = {});
  static Tensor zeros(Dims sizes, DType dtype = DType::f32, Device device = {});
  static Tensor full(Dims sizes, double value, DType dtype = DType::f32, Device device = {});
  static Tensor scalar(double value, DType dtype = DType::f32, Device device = {});  // 0-dim
  template <class T>
  static Tensor from(std::span<const T> values, Dims sizes, Device device = {});
  template <class T>
  static Tensor from(const std::vector<T>& values, Dims sizes, Device device = {}) {
    return from(std::span<const T>(values), std::move(sizes), device);
  }
  // A tensor over a given storage: the base of all views. Checks that it stays inside the storage.
  static Tensor view_of(Ref<Storage> storage, Dims sizes, Dims strides, int64_t offset,
                        DType dtype);

  // ---- looking at it ----
  bool defined() const { return static_cast<bool>(impl_); }
  explicit operator bool() const = delete;  // ambiguous: defined() or item()?
  const Dims& sizes() const { return impl_->sizes; }
  const Dims& strides() const { return impl_->strides; }
  int64_t rank() const { return static_cast<int64_t>(impl_->sizes.size()); }
  int64_t size(int64_t dim) const;    // dim may be negative
  int64_t stride(int64_t dim) const;  // dim may be negative
  int64_t numel() const { return impl_->numel; }
  int64_t offset() const { return impl_->offset; }
  DType dtype() const { return impl_->dtype; }
  Device device() const { return impl_->storage->device(); }
  size_t bytes() const { return static_cast<size_t>(numel()) * dtype_size(dtype()); }
  const Ref<Storage>& storage() const { return impl_->storage; }
  TensorImpl* impl() const { return impl_.get(); }
  bool same(const Tensor& o) const { return impl_ == o.impl_; }
  bool use_count_is_one() const { return impl_->use_count() == 1; }  // this handle is the only one

  bool is_contiguous() const { return impl_->contiguous; }  // row-major, no gaps
  bool is_channels_last() const;  // rank 4, memory order N,H,W,C, and not row-major as well
  bool is_dense() const;          // some permutation of the axes is row-major: no gaps, no overlap

  // Host address of element 0; the dtype must match. For a tensor on a GPU it is a device address.
  template <class T>
  T* data() const {
    if (dtype_of<T> != dtype()) [[unlikely]]
      wrong_dtype(dtype_of<T>);
    return static_cast<T*>(raw());
  }
  void* raw() const {
    return static_cast<char*>(impl_->storage->data()) + impl_->offset * dtype_size(impl_->dtype);
  }

  // ---- values on the host (any device: copies if needed) ----
  double item() const;  // the only element, as double
  template <class T>
  std::vector<T> to_vector() const;  // row-major, converted to T (double, float, int64_t, uint8_t)
  std::string describe() const;      // "f32 [2, 3]" (+ device, + strides where not contiguous)

  // ---- plain data movement, no gradient; the differentiable forms are in ops/shape ----
  Tensor detach() const;                // same data, no autograd
  Tensor to(Device device) const;       // this if already there, else a contiguous copy
  Tensor with_shape(Dims sizes) const;  // contiguous only: same memory, other shape, no autograd
  Tensor narrow_view(int64_t dim, int64_t start, int64_t length) const;  // no autograd
  // Copies the values of src (same shape, same dtype, any strides, any device) into this memory.
  void copy_from(const Tensor& src) const;
  void zero() const;  // any strides
  void bump_version(const char* by) const { impl_->storage->bump_version(by); }

 private:
  [[noreturn]] void wrong_dtype(DType want) const;
  Ref<TensorImpl> impl_;
};

// Throws Usage when dim is outside [-rank, rank); returns it in [0, rank).
int64_t wrap_dim(int64_t dim, int64_t rank, std::string_view what);

// Largest difference of two tensors of one shape, and where; for tests and tools.
struct Difference {
  double max_abs = 0;      // max |a - b|
  double max_ref = 0;      // max |b|
  int64_t index = -1;      // row-major position of the largest difference
  bool nonfinite = false;  // one is NaN or infinite where the other differs
  double relative() const { return max_ref > 0 ? max_abs / max_ref : max_abs; }
};
Difference difference(const Tensor& a, const Tensor& b);

// "[[1, 2], [3, 4]]", shortened in the middle.
std::string to_string(const Tensor& t);

}  // namespace tenon
