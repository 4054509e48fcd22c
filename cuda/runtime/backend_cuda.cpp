// The `cuda` device of a build with nvcc: real memory through the CUDA runtime.
#if defined(TENON_CUDA)

#include <cuda_runtime_api.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/device/device.h"
#include "core/memory/allocator.h"
#include "cuda/kit/launch_check.h"

namespace tenon {
namespace {

void check_cuda(cudaError_t code, const char* what) {
  if (code != cudaSuccess)
    throw_error(ErrorKind::Device, "{}: {} ({})", what, cudaGetErrorString(code),
                cudaGetErrorName(code));
}

// Makes a device current for the calling thread, and back again.
class DeviceGuard {
 public:
  explicit DeviceGuard(int index) {
    check_cuda(cudaGetDevice(&before_), "cudaGetDevice");
    if (index != before_) check_cuda(cudaSetDevice(index), "cudaSetDevice");
  }
  ~DeviceGuard() { cudaSetDevice(before_); }
  DeviceGuard(const DeviceGuard&) = delete;
  DeviceGuard& operator=(const DeviceGuard&) = delete;

 private:
  int before_ = 0;
};

class CudaMemorySource final : public MemorySource {
 public:
  explicit CudaMemorySource(int index) : index_(index) {}
  void* acquire(size_t bytes) override {
    const DeviceGuard guard(index_);
    void* p = nullptr;
    const cudaError_t code = cudaMalloc(&p, bytes);
    if (code == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // the caller reports it; later calls must not see it again
      return nullptr;
    }
    check_cuda(code, "cudaMalloc");
    return p;
  }
  void release(void* p, size_t) override { cudaFree(p); }
  std::string name() const override { return to_string({DeviceKind::CUDA, int16_t(index_)}); }
  size_t capacity() const override {
    const DeviceGuard guard(index_);
    size_t free = 0, total = 0;
    check_cuda(cudaMemGetInfo(&free, &total), "cudaMemGetInfo");
    return total;
  }

 private:
  int index_;
};

class CudaBackend final : public DeviceBackend {
 public:
  CudaBackend() {
    int count = 0;
    if (cudaGetDeviceCount(&count) == cudaSuccess) allocators_.resize(static_cast<size_t>(count));
  }
  int device_count() const override { return static_cast<int>(allocators_.size()); }

  Allocator& allocator(int index) override {
    check(index >= 0 && index < device_count(), ErrorKind::Device,
          "cuda:{}: this machine has {} CUDA devices", index, device_count());
    const std::lock_guard lock(mutex_);
    auto& slot = allocators_[static_cast<size_t>(index)];
    if (!slot) {
      CachingAllocator::Options options;
      options.alignment = 256;
      slot = std::make_unique<CachingAllocator>(std::make_unique<CudaMemorySource>(index), options);
    }
    return *slot;
  }
  void copy(void* dst, Device, const void* src, Device, size_t bytes) override {
    if (!bytes) return;
    check_cuda(cudaMemcpy(dst, src, bytes, cudaMemcpyDefault), "cudaMemcpy");
  }
  void fill_zero(void* dst, int index, size_t bytes) override {
    if (!bytes) return;
    const DeviceGuard guard(index);
    check_cuda(cudaMemset(dst, 0, bytes), "cudaMemset");
  }
  void synchronize(int index) override {
    const DeviceGuard guard(index);
    check_cuda(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<CachingAllocator>> allocators_;  // made on first use
};

// Never destroyed: tensors in static variables may outlive any static object.
[[maybe_unused]] const bool registered =
    (register_device_backend(DeviceKind::CUDA, new CudaBackend), true);

}  // namespace

namespace kit::detail {

void check_launch(int code, const char* kernel) {
  check_cuda(static_cast<cudaError_t>(code), kernel);
}

}  // namespace kit::detail
}  // namespace tenon

#endif
