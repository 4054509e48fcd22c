#include "core/tensor/tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>

namespace tenon {

Dims contiguous_strides(std::span<const int64_t> sizes) {
  Dims strides(sizes.size());
  int64_t step = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    strides[i] = step;
    step *= std::max<int64_t>(sizes[i], 1);
  }
  return strides;
}

Dims channels_last_strides(std::span<const int64_t> s) {
  TENON_ASSERT(s.size() == 4);
  const int64_t c = std::max<int64_t>(s[1], 1), h = std::max<int64_t>(s[2], 1),
                w = std::max<int64_t>(s[3], 1);
  return {h * w * c, 1, w * c, c};
}

int64_t count_elements(std::span<const int64_t> sizes) {
  int64_t n = 1;
  bool zero = false;
  for (const int64_t s : sizes) {
    check(s >= 0, ErrorKind::Usage, "shape {} has a negative size", to_string(sizes));
    if (s == 0)
      zero = true;
    else
      check(!__builtin_mul_overflow(n, s, &n) && n < (int64_t{1} << 59), ErrorKind::Usage,
            "shape {} has too many elements", to_string(sizes));
  }
  return zero ? 0 : n;
}

std::string to_string(std::span<const int64_t> dims) {
  std::string out = "[";
  for (size_t i = 0; i < dims.size(); ++i) out += fmt::format("{}{}", i ? ", " : "", dims[i]);
  return out + "]";
}

int64_t wrap_dim(int64_t dim, int64_t rank, std::string_view what) {
  if (dim < -rank || dim >= rank) [[unlikely]]
    throw_error(ErrorKind::Usage, "{}: dim {} is outside a tensor of rank {}", what, dim, rank);
  return dim < 0 ? dim + rank : dim;
}

namespace {

bool strides_contiguous(const Dims& sizes, const Dims& strides, int64_t numel) {
  if (numel == 0) return true;
  int64_t step = 1;
  for (size_t i = sizes.size(); i-- > 0;) {
    if (sizes[i] != 1 && strides[i] != step) return false;
    step *= sizes[i];
  }
  return true;
}

Tensor make(Ref<Storage> storage, Dims sizes, Dims strides, int64_t offset, int64_t numel,
            DType dtype) {
  auto impl = make_ref<TensorImpl>();
  impl->contiguous = strides_contiguous(sizes, strides, numel);
  impl->storage = std::move(storage);
  impl->sizes = std::move(sizes);
  impl->strides = std::move(strides);
  impl->offset = offset;
  impl->numel = numel;
  impl->dtype = dtype;
  return Tensor(std::move(impl));
}

// Calls f(offset_a, offset_b) for all positions of a shape, in row-major order.
template <class F>
void for_each_pair(const Dims& sizes, const Dims& sa, const Dims& sb, F&& f) {
  const size_t rank = sizes.size();
  if (count_elements(sizes) == 0) return;
  Dims index(rank);
  int64_t a = 0, b = 0;
  while (true) {
    f(a, b);
    size_t d = rank;
    while (d-- > 0) {
      a += sa[d];
      b += sb[d];
      if (++index[d] < sizes[d]) break;
      a -= sa[d] * sizes[d];
      b -= sb[d] * sizes[d];
      index[d] = 0;
    }
    if (d == static_cast<size_t>(-1)) return;
  }
}

Tensor host_contiguous(const Tensor& t) {
  if (t.device() == Device{} && t.is_contiguous()) return t;
  if (t.device().kind != DeviceKind::CPU) {
    // Bring over the whole storage: simple, and only tests and printing do this with strided data.
    const size_t bytes = t.storage()->bytes();
    auto storage = make_ref<Storage>(bytes, Device{});
    device_backend(t.device().kind)
        .copy(storage->data(), Device{}, t.storage()->data(), t.device(), bytes);
    return host_contiguous(
        Tensor::view_of(std::move(storage), t.sizes(), t.strides(), t.offset(), t.dtype()));
  }
  Tensor out = Tensor::empty(t.sizes(), t.dtype());
  out.copy_from(t);
  return out;
}

}  // namespace

Tensor Tensor::empty(Dims sizes, DType dtype, Device device) {
  const int64_t n = count_elements(sizes);
  auto storage = make_ref<Storage>(static_cast<size_t>(n) * dtype_size(dtype), device);
  Dims strides = contiguous_strides(sizes);
  return make(std::move(storage), std::move(sizes), std::move(strides), 0, n, dtype);
}

Tensor Tensor::empty_strided(Dims sizes, Dims strides, DType dtype, Device device) {
  const int64_t n = count_elements(sizes);
  int64_t extent = n ? 1 : 0;
  for (size_t i = 0; i < sizes.size() && n; ++i) extent += (sizes[i] - 1) * strides[i];
  auto storage = make_ref<Storage>(static_cast<size_t>(extent) * dtype_size(dtype), device);
  return view_of(std::move(storage), std::move(sizes), std::move(strides), 0, dtype);
}

Tensor Tensor::view_of(Ref<Storage> storage, Dims sizes, Dims strides, int64_t offset,
                       DType dtype) {
  const int64_t n = count_elements(sizes);
  TENON_ASSERT(sizes.size() == strides.size());
  if (n) {
    int64_t low = offset, high = offset;
    for (size_t i = 0; i < sizes.size(); ++i)
      (strides[i] < 0 ? low : high) += (sizes[i] - 1) * strides[i];
    const auto capacity = static_cast<int64_t>(storage->bytes() / dtype_size(dtype));
    check(low >= 0 && high < capacity, ErrorKind::Internal,
          "view {} with strides {} and offset {} leaves its storage of {} elements",
          to_string(sizes), to_string(strides), offset, capacity);
  }
  return make(std::move(storage), std::move(sizes), std::move(strides), offset, n, dtype);
}

Tensor Tensor::zeros(Dims sizes, DType dtype, Device device) {
  Tensor t = empty(std::move(sizes), dtype, device);
  device_backend(device.kind).fill_zero(t.raw(), device.index, t.bytes());
  return t;
}

Tensor Tensor::full(Dims sizes, double value, DType dtype, Device device) {
  Tensor t = empty(std::move(sizes), dtype);
  visit_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    std::fill_n(t.data<T>(), t.numel(), static_cast<T>(value));
  });
  return t.to(device);
}

Tensor Tensor::scalar(double value, DType dtype, Device device) {
  return full({}, value, dtype, device);
}

template <class T>
Tensor Tensor::from(std::span<const T> values, Dims sizes, Device device) {
  Tensor t = empty(std::move(sizes), dtype_of<T>);
  check(static_cast<int64_t>(values.size()) == t.numel(), ErrorKind::Usage,
        "Tensor::from: {} values for shape {}", values.size(), to_string(t.sizes()));
  if (!values.empty()) std::memcpy(t.raw(), values.data(), t.bytes());
  return t.to(device);
}
template Tensor Tensor::from(std::span<const double>, Dims, Device);
template Tensor Tensor::from(std::span<const float>, Dims, Device);
template Tensor Tensor::from(std::span<const int64_t>, Dims, Device);
template Tensor Tensor::from(std::span<const int32_t>, Dims, Device);
template Tensor Tensor::from(std::span<const uint8_t>, Dims, Device);

int64_t Tensor::size(int64_t dim) const {
  return impl_->sizes[static_cast<size_t>(wrap_dim(dim, rank(), "size"))];
}
int64_t Tensor::stride(int64_t dim) const {
  return impl_->strides[static_cast<size_t>(wrap_dim(dim, rank(), "stride"))];
}

bool Tensor::is_channels_last() const {
  if (rank() != 4 || is_contiguous()) return false;
  const Dims want = channels_last_strides(sizes());
  for (size_t i = 0; i < 4; ++i)
    if (sizes()[i] != 1 && strides()[i] != want[i]) return false;
  return true;
}

bool Tensor::is_dense() const {
  if (is_contiguous()) return true;
  SmallVec<int64_t, 6> order(static_cast<size_t>(rank()));
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(),
            [&](int64_t a, int64_t b) { return strides()[a] < strides()[b]; });
  int64_t step = 1;
  for (const int64_t d : order) {
    if (sizes()[d] == 1) continue;
    if (strides()[d] != step) return false;
    step *= sizes()[d];
  }
  return true;
}

double Tensor::item() const {
  check(defined() && numel() == 1, ErrorKind::Usage, "item: tensor {} does not have one element",
        defined() ? describe() : "(undefined)");
  return to_vector<double>()[0];
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  const Tensor host = host_contiguous(detach());
  std::vector<T> out(static_cast<size_t>(numel()));
  visit_all(dtype(), [&](auto tag) {
    using S = typename decltype(tag)::type;
    const S* src = host.data<S>();
    for (size_t i = 0; i < out.size(); ++i) out[i] = static_cast<T>(src[i]);
  });
  return out;
}
template std::vector<double> Tensor::to_vector() const;
template std::vector<float> Tensor::to_vector() const;
template std::vector<int64_t> Tensor::to_vector() const;
template std::vector<int32_t> Tensor::to_vector() const;
template std::vector<uint8_t> Tensor::to_vector() const;

std::string Tensor::describe() const {
  if (!defined()) return "(undefined)";
  std::string out = fmt::format("{} {}", dtype_name(dtype()), to_string(sizes()));
  if (!is_contiguous()) out += fmt::format(" strides {}", to_string(strides()));
  if (device().kind != DeviceKind::CPU) out += " on " + to_string(device());
  return out;
}

Tensor Tensor::detach() const {
  return make(impl_->storage, impl_->sizes, impl_->strides, impl_->offset, impl_->numel,
              impl_->dtype);
}

Tensor Tensor::to(Device target) const {
  if (device() == target) return *this;
  Tensor out = empty(sizes(), dtype(), target);
  out.copy_from(*this);
  return out;
}

Tensor Tensor::with_shape(Dims sizes) const {
  const int64_t n = count_elements(sizes);
  check(is_contiguous() && n == numel(), ErrorKind::Usage, "with_shape: {} as {}", describe(),
        to_string(sizes));
  Dims strides = contiguous_strides(sizes);
  return make(impl_->storage, std::move(sizes), std::move(strides), impl_->offset, n, dtype());
}

Tensor Tensor::narrow_view(int64_t dim, int64_t start, int64_t length) const {
  dim = wrap_dim(dim, rank(), "narrow_view");
  check(start >= 0 && length >= 0 && start <= size(dim) - length, ErrorKind::Usage,
        "narrow_view: [{}, {}) is outside dim {} of {}", start, start + length, dim, describe());
  Dims sizes = impl_->sizes;
  sizes[static_cast<size_t>(dim)] = length;
  return view_of(impl_->storage, std::move(sizes), impl_->strides,
                 impl_->offset + start * stride(dim), dtype());
}

void Tensor::copy_from(const Tensor& src) const {
  check(sizes() == src.sizes() && dtype() == src.dtype(), ErrorKind::Usage, "copy_from: {} into {}",
        src.describe(), describe());
  bump_version("copy_from");
  const bool same_layout =
      (is_contiguous() && src.is_contiguous()) || (strides() == src.strides() && is_dense());
  if (same_layout) {
    const DeviceKind side = device().kind != DeviceKind::CPU ? device().kind : src.device().kind;
    device_backend(side).copy(raw(), device(), src.raw(), src.device(), bytes());
    return;
  }
  if (device().kind != DeviceKind::CPU) {
    Tensor host;
    if (is_contiguous()) {
      host = host_contiguous(src);
    } else {
      // The stretch of memory that holds the elements goes to the host and back.
      int64_t last = 0;
      for (size_t d = 0; d < sizes().size(); ++d) {
        if (sizes()[d] == 0) return;
        last += (sizes()[d] - 1) * strides()[d];
      }
      host = view_of(storage(), {last + 1}, {1}, offset(), dtype()).to(Device{});
      view_of(host.storage(), sizes(), strides(), 0, dtype()).copy_from(src);
    }
    device_backend(device().kind).copy(raw(), device(), host.raw(), Device{}, host.bytes());
    return;
  }
  const Tensor from = src.device().kind == DeviceKind::CPU ? src : host_contiguous(src);
  visit_all(dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    T* dst = data<T>();
    const T* s = from.data<T>();
    for_each_pair(sizes(), strides(), from.strides(), [&](int64_t a, int64_t b) { dst[a] = s[b]; });
  });
}

void Tensor::zero() const {
  bump_version("zero");
  if (is_dense()) {
    device_backend(device().kind).fill_zero(raw(), device().index, bytes());
  } else {
    copy_from(zeros(sizes(), dtype(), device()));
  }
}

void Tensor::wrong_dtype(DType want) const {
  throw_error(ErrorKind::Usage, "data: tensor {} read as {}", describe(), dtype_name(want));
}

Difference difference(const Tensor& a, const Tensor& b) {
  check(a.sizes() == b.sizes(), ErrorKind::Usage, "difference: {} against {}", a.describe(),
        b.describe());
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  Difference out;
  for (size_t i = 0; i < x.size(); ++i) {
    if (std::isfinite(y[i])) out.max_ref = std::max(out.max_ref, std::abs(y[i]));
    if (x[i] == y[i] || (std::isnan(x[i]) && std::isnan(y[i]))) continue;
    const double d = std::abs(x[i] - y[i]);
    if (!std::isfinite(d)) {
      out.nonfinite = true;
      out.max_abs = std::numeric_limits<double>::infinity();
      out.index = static_cast<int64_t>(i);
    } else if (d > out.max_abs) {
      out.max_abs = d;
      out.index = static_cast<int64_t>(i);
    }
  }
  return out;
}

namespace {
void print(const std::vector<double>& v, const Dims& sizes, size_t dim, size_t at, int64_t inner,
           std::string& out) {
  if (dim == sizes.size()) {
    out += fmt::format("{:.6g}", v[at]);
    return;
  }
  out += "[";
  const int64_t n = sizes[dim], step = n ? inner / n : 0;
  for (int64_t i = 0; i < n; ++i) {
    if (n > 8 && i == 4) {
      out += ", ...";
      i = n - 4;
    }
    if (i) out += ", ";
    print(v, sizes, dim + 1, at + static_cast<size_t>(i * step), step, out);
  }
  out += "]";
}
}  // namespace

std::string to_string(const Tensor& t) {
  if (!t.defined()) return "(undefined)";
  std::string out;
  print(t.to_vector<double>(), t.sizes(), 0, 0, t.numel(), out);
  return out;
}

}  // namespace tenon
