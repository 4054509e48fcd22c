// Copies from global to shared memory that run while the thread goes on (sm_80's cp.async).
// Issue copies, cp_async_commit() closes a group, cp_async_wait<N>() waits until at most N of this
// thread's groups are still on their way. Other threads' copies need a sync_block() after that.
#pragma once

#include "cuda/kit/device.h"

namespace tenon::kit {

// 16 bytes, of which the first `valid_bytes` (0 to 16) are read and the rest become zero. Both
// addresses are multiples of 16; src is not read where valid_bytes is 0.
TENON_DEVICE void cp_async_16(void* shared_dst, const void* src, int valid_bytes = 16) {
#if defined(__CUDACC__)
  const uint32_t dst = static_cast<uint32_t>(__cvta_generic_to_shared(shared_dst));
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(dst), "l"(src),
               "r"(valid_bytes)
               : "memory");
#else
  simt::async_copy(shared_dst, src, 16, valid_bytes);
#endif
}

TENON_DEVICE void cp_async_commit() {
#if defined(__CUDACC__)
  asm volatile("cp.async.commit_group;\n" ::: "memory");
#else
  simt::async_commit();
#endif
}

template <int N>
TENON_DEVICE void cp_async_wait() {
#if defined(__CUDACC__)
  asm volatile("cp.async.wait_group %0;\n" ::"n"(N) : "memory");
#else
  simt::async_wait(N);
#endif
}

}  // namespace tenon::kit
