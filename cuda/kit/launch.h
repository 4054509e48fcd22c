// Starting a kernel, with one spelling for the GPU and the emulator:
//   launch<softmax_kernel<float>>({rows}, 256, 0, stream, x, y, columns);
// The kernel is a template argument so that reports can name it with its own arguments.
// Throws Internal where the kernel is at fault, Device where the driver refuses.
#pragma once

#include <cstddef>
#include <string>
#include <tuple>

#include "cuda/kit/device.h"
#include "cuda/kit/launch_check.h"
#include "cuda/runtime/stream.h"

namespace tenon {

struct Grid {  // blocks in each dimension
  int x = 1, y = 1, z = 1;
};

namespace kit {

// Number of blocks of `size` that cover n, at most `limit`: for kernels that loop over the grid.
inline int blocks_for(int64_t n, int64_t size, int64_t limit = 65535) {
  const int64_t blocks = (n + size - 1) / size;
  return static_cast<int>(blocks < limit ? blocks : limit);
}

namespace detail {

#if defined(__CUDACC__)
template <auto Kernel>
const char* kernel_name() {
  return __PRETTY_FUNCTION__;
}
#else
// "softmax_kernel<float>" out of "... [with auto Kernel = softmax_kernel<float>]".
template <auto Kernel>
std::string kernel_name() {
  std::string text = __PRETTY_FUNCTION__;
  const size_t start = text.find("Kernel = ");
  text = text.substr(start + 9, text.rfind(']') - start - 9);
  return text.substr(0, text.find(';'));
}
#endif

}  // namespace detail
}  // namespace kit

// Runs Kernel(args...) in grid x threads threads with `dynamic_bytes` of dynamic shared memory.
// threads is a multiple of 32, at most 1024. Returns before the kernel is done on a GPU.
template <auto Kernel, class... Args>
void launch(Grid grid, int threads, size_t dynamic_bytes, [[maybe_unused]] StreamHandle stream,
            Args... args) {
#if defined(__CUDACC__)
  const char* name = kit::detail::kernel_name<Kernel>();
  if (dynamic_bytes > 48 * 1024)
    kit::detail::check_launch(cudaFuncSetAttribute(reinterpret_cast<const void*>(Kernel),
                                                   cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                   static_cast<int>(dynamic_bytes)),
                              name);
  Kernel<<<dim3(grid.x, grid.y, grid.z), threads, dynamic_bytes, stream>>>(args...);
  kit::detail::check_launch(cudaGetLastError(), name);
#else
  static const std::string name = kit::detail::kernel_name<Kernel>();
  std::tuple<Args...> pack(args...);
  const auto body = [](void* data) {
    std::apply([](const Args&... a) { Kernel(a...); }, *static_cast<std::tuple<Args...>*>(data));
  };
  simt::run_grid(name, {grid.x, grid.y, grid.z}, threads, dynamic_bytes, body, &pack);
#endif
}

}  // namespace tenon
