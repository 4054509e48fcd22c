// Where data lives. There is no current device: an op runs where its inputs are.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace tenon {

enum class DeviceKind : uint8_t { CPU, CUDA };
inline constexpr int kDeviceKinds = 2;

struct Device {
  DeviceKind kind = DeviceKind::CPU;
  int16_t index = 0;
  friend bool operator==(const Device&, const Device&) = default;
};

// "cpu", "cuda:0".
std::string to_string(Device device);

class Allocator;

// What a kind of device must supply. Implemented by cuda/runtime for CUDA, by core/memory for the
// CPU.
class DeviceBackend {
 public:
  virtual ~DeviceBackend() = default;
  virtual int device_count() const = 0;
  virtual Allocator& allocator(int index) = 0;
  // Copies bytes to, from or between devices of this kind (the host is the other side) and returns
  // when the destination may be read.
  virtual void copy(void* dst, Device dst_device, const void* src, Device src_device,
                    size_t bytes) = 0;
  virtual void fill_zero(void* dst, int index, size_t bytes) = 0;
  virtual void synchronize(int index) = 0;
};

// The pointer must live to the end of the program.
void register_device_backend(DeviceKind kind, DeviceBackend* backend);
// Throws Device when this build or machine has none of that kind.
DeviceBackend& device_backend(DeviceKind kind);
bool device_available(DeviceKind kind);

}  // namespace tenon
