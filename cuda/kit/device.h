// The words a kernel is made of: where a thread is, block barriers, shared memory. One source
// serves nvcc and, with TENON_SIMT_EMULATED, any host compiler (cuda/simt). Blocks are
// one-dimensional.
#pragma once

#include <cstdint>

#include "core/dtype/half.h"

#if defined(__CUDACC__)
#define TENON_KERNEL __global__ void
#define TENON_DEVICE __device__ __forceinline__
// Before a loop over registers: without it an array that such a loop indexes may live in memory.
#define TENON_UNROLL _Pragma("unroll")
#elif defined(TENON_SIMT_EMULATED)
#include "cuda/simt/simt.h"
#define TENON_KERNEL void
#define TENON_DEVICE inline
#define TENON_UNROLL
#else
#error "kernels are compiled by nvcc, or with -DTENON_SIMT_EMULATED=1"
#endif

// Collectives take the caller's place, for the emulator's reports.
#define TENON_HERE const char *file = __builtin_FILE(), int line = __builtin_LINE()

// TENON_SHARED(float, tile, 256): `tile` is a reference to float[256], the same one for all threads
// of the block, uninitialised. TENON_DYN_SHARED(float, tile): a pointer to the bytes asked for at
// launch. Both are aligned for every vector access.
#if defined(__CUDACC__)
#define TENON_SHARED(T, name, N)                                         \
  __shared__ __align__(128) unsigned char name##_bytes[sizeof(T) * (N)]; \
  T(&name)[N] = *reinterpret_cast<T(*)[N]>(name##_bytes)
#define TENON_DYN_SHARED(T, name)                                       \
  extern __shared__ __align__(128) unsigned char tenon_dynamic_bytes[]; \
  T* const name = reinterpret_cast<T*>(tenon_dynamic_bytes)
#else
#define TENON_SHARED(T, name, N)   \
  static const char name##_site{}; \
  T(&name)[N] = *static_cast<T(*)[N]>(::tenon::simt::static_shared(&name##_site, sizeof(T) * (N)))
#define TENON_DYN_SHARED(T, name) T* const name = static_cast<T*>(::tenon::simt::dynamic_shared())
#endif

namespace tenon::kit {

inline constexpr int kWarpSize = 32;

#if defined(__CUDACC__)
TENON_DEVICE int thread_index() {
  return static_cast<int>(threadIdx.x);
}
TENON_DEVICE int block_threads() {
  return static_cast<int>(blockDim.x);
}
TENON_DEVICE int block_x() {
  return static_cast<int>(blockIdx.x);
}
TENON_DEVICE int block_y() {
  return static_cast<int>(blockIdx.y);
}
TENON_DEVICE int block_z() {
  return static_cast<int>(blockIdx.z);
}
TENON_DEVICE int grid_x() {
  return static_cast<int>(gridDim.x);
}
// Waits for all threads of the block, and makes their writes visible.
TENON_DEVICE void sync_block() {
  __syncthreads();
}
#else
inline int thread_index() {
  return simt::current->thread;
}
inline int block_threads() {
  return simt::current->block_threads;
}
inline int block_x() {
  return simt::current->block.x;
}
inline int block_y() {
  return simt::current->block.y;
}
inline int block_z() {
  return simt::current->block.z;
}
inline int grid_x() {
  return simt::current->grid.x;
}
inline void sync_block(TENON_HERE) {
  simt::block_barrier(file, line);
}
#endif

TENON_DEVICE int lane_index() {
  return thread_index() % kWarpSize;
}
TENON_DEVICE int warp_index() {
  return thread_index() / kWarpSize;
}
// Index of this thread in a one-dimensional grid, and the number of threads in it.
TENON_DEVICE int64_t grid_thread_index() {
  return static_cast<int64_t>(block_x()) * block_threads() + thread_index();
}
TENON_DEVICE int64_t grid_threads() {
  return static_cast<int64_t>(grid_x()) * block_threads();
}

}  // namespace tenon::kit
