#include "core/device/device.h"

#include "core/base/error.h"

namespace tenon {

namespace {
DeviceBackend* g_backends[kDeviceKinds] = {};
}

std::string to_string(Device device) {
  return device.kind == DeviceKind::CPU ? "cpu" : fmt::format("cuda:{}", device.index);
}

void register_device_backend(DeviceKind kind, DeviceBackend* backend) {
  g_backends[static_cast<int>(kind)] = backend;
}

bool device_available(DeviceKind kind) {
  const DeviceBackend* backend = g_backends[static_cast<int>(kind)];
  return backend && backend->device_count() > 0;
}

DeviceBackend& device_backend(DeviceKind kind) {
  DeviceBackend* backend = g_backends[static_cast<int>(kind)];
  if (!backend)
    throw_hint(ErrorKind::Device, "use --device cpu, or a build with the CUDA toolkit",
               "no {} device: this build has no backend for it",
               kind == DeviceKind::CPU ? "cpu" : "cuda");
  return *backend;
}

}  // namespace tenon
