// The bytes behind tensors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "core/base/intrusive.h"
#include "core/device/device.h"

namespace tenon {

// A piece of memory on one device, shared by all views of it. The version counts in-place changes;
// tensors saved for backward remember it, so a change in between is found and named.
class Storage final : public RefCounted {
 public:
  // Uninitialised memory from the device's allocator; throws Memory.
  Storage(size_t bytes, Device device);
  // Memory owned by somebody else, such as a mapped file; `release` runs at the end (may be empty).
  Storage(void* data, size_t bytes, Device device, std::function<void()> release);
  ~Storage() override;

  void* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

  uint32_t version() const { return version_; }
  const char* modified_by() const { return modified_by_; }  // "" when never
  void bump_version(const char* by) {
    ++version_;
    modified_by_ = by;
  }

 private:
  void* data_;
  size_t bytes_;
  Device device_;
  uint32_t version_ = 0;
  const char* modified_by_ = "";
  bool owned_;
  std::function<void()> release_;
};

}  // namespace tenon
