// Host side of a launch on a GPU. Apart from launch.h so that it needs neither nvcc nor the
// emulator.
#pragma once

namespace tenon::kit::detail {

// Throws Device, naming the kernel, unless code is cudaSuccess.
void check_launch(int code, const char* kernel);

}  // namespace tenon::kit::detail
