// The `cuda` device of a build without nvcc: one device, host memory, kernels run by cuda/simt. It
// is there so that every kernel is tested on every machine; it is thousands of times slower than a
// GPU.
#if !defined(TENON_CUDA)

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>

#include "core/base/error.h"
#include "core/device/device.h"
#include "core/memory/allocator.h"

namespace tenon {
namespace {

// Every allocation is one of malloc's, filled with NaN bits: AddressSanitizer sees a kernel that
// leaves its operand, and any other build sees one that reads what was never written.
class EmulatedAllocator final : public Allocator {
 public:
  void* allocate(size_t bytes) override {
    constexpr size_t alignment = 256;  // cudaMalloc's
    const std::lock_guard lock(mutex_);
    void* p = nullptr;
    const bool allowed = !limit_ || (stats_.in_use <= limit_ && bytes <= limit_ - stats_.in_use);
    if (!allowed || posix_memalign(&p, alignment, bytes ? bytes : 1) != 0)
      throw_error(ErrorKind::Memory, "cuda:0 (emulated): no {} left, {} in use, limit {}",
                  format_bytes(bytes), format_bytes(stats_.in_use),
                  limit_ ? format_bytes(limit_) : "none");
    std::memset(p, 0xff, bytes);
    sizes_[p] = bytes;
    stats_.in_use += bytes;
    stats_.reserved = stats_.in_use;
    stats_.peak_in_use = stats_.peak_reserved = std::max(stats_.peak_in_use, stats_.in_use);
    ++stats_.allocations;
    ++stats_.source_calls;
    return p;
  }

  void deallocate(void* p) noexcept override {
    if (!p) return;
    const std::lock_guard lock(mutex_);
    const auto it = sizes_.find(p);
    if (it == sizes_.end()) std::abort();  // a double free is memory corruption: stop here
    stats_.in_use -= it->second;
    stats_.reserved = stats_.in_use;
    sizes_.erase(it);
    std::free(p);
  }

  MemoryStats stats() const override {
    const std::lock_guard lock(mutex_);
    return stats_;
  }
  void reset_peak() override {
    const std::lock_guard lock(mutex_);
    stats_.peak_in_use = stats_.peak_reserved = stats_.in_use;
  }
  void release_cached() override {}
  void set_limit(size_t bytes) override {
    const std::lock_guard lock(mutex_);
    limit_ = bytes;
  }

 private:
  mutable std::mutex mutex_;
  std::map<void*, size_t> sizes_;
  MemoryStats stats_;
  size_t limit_ = 0;
};

class EmulatedBackend final : public DeviceBackend {
 public:
  int device_count() const override { return 1; }
  Allocator& allocator(int index) override {
    check(index == 0, ErrorKind::Device, "cuda:{}: only cuda:0 exists, and it is emulated", index);
    return allocator_;
  }
  void copy(void* dst, Device, const void* src, Device, size_t bytes) override {
    if (bytes) std::memcpy(dst, src, bytes);
  }
  void fill_zero(void* dst, int, size_t bytes) override {
    if (bytes) std::memset(dst, 0, bytes);
  }
  void synchronize(int) override {}

 private:
  EmulatedAllocator allocator_;
};

// Never destroyed: tensors in static variables may outlive any static object.
[[maybe_unused]] const bool registered =
    (register_device_backend(DeviceKind::CUDA, new EmulatedBackend), true);

}  // namespace
}  // namespace tenon

#endif
