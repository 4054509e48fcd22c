// The queue a kernel is launched into. The type is CUDA's own cudaStream_t, named without its
// headers, so that host code that launches kernels needs none of them.
#pragma once

struct CUstream_st;

namespace tenon {

// Null is the device's default stream; the emulator runs everything at once and knows no other.
using StreamHandle = CUstream_st*;

}  // namespace tenon
