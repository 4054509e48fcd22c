#include "core/memory/storage.h"

#include <cstring>

#include "core/memory/allocator.h"

namespace tenon {

Storage::Storage(size_t bytes, Device device)
    : data_(device_backend(device.kind).allocator(device.index).allocate(bytes)),
      bytes_(bytes),
      device_(device),
      owned_(true) {}

Storage::Storage(void* data, size_t bytes, Device device, std::function<void()> release)
    : data_(data), bytes_(bytes), device_(device), owned_(false), release_(std::move(release)) {}

Storage::~Storage() {
  if (owned_) device_backend(device_.kind).allocator(device_.index).deallocate(data_);
  if (release_) release_();
}

namespace {

class CpuBackend final : public DeviceBackend {
 public:
  int device_count() const override { return 1; }
  Allocator& allocator(int) override { return cpu_allocator(); }
  void copy(void* dst, Device, const void* src, Device, size_t bytes) override {
    if (bytes) std::memcpy(dst, src, bytes);
  }
  void fill_zero(void* dst, int, size_t bytes) override {
    if (bytes) std::memset(dst, 0, bytes);
  }
  void synchronize(int) override {}
};

const bool g_registered = [] {
  static CpuBackend backend;
  register_device_backend(DeviceKind::CPU, &backend);
  return true;
}();

}  // namespace

}  // namespace tenon
