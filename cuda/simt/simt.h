// The emulator's side of the kernel vocabulary: what cuda/kit calls when kernels are compiled for
// the host. Kernels never include this file.
//
// Blocks of a grid run one after another. The threads of a block are fibers on the calling thread.
// A warp runs until each of its lanes waits at a block barrier or has returned, then the next warp
// runs. A warp collective (shuffle, vote, mma) waits until every lane named by its mask has
// arrived.
//
// Reported as Error of kind Internal, with the kernel, block and thread: an exception in a kernel,
// a barrier that some threads never reach or reach at another line, a collective whose mask names a
// lane that returned or waits elsewhere, too much shared memory, a misaligned vector access, a
// launch a GPU would refuse.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace tenon::simt {

inline constexpr int kWarpSize = 32;
inline constexpr size_t kMaxStaticShared = 48 * 1024;  // without opting in, any GPU
inline constexpr size_t kMaxShared = 227 * 1024;       // a block's limit on sm_90

struct Index3 {
  int x = 1, y = 1, z = 1;
};

// Where the running thread is in its grid.
struct ThreadView {
  int thread = 0;  // blocks are one-dimensional
  int block_threads = 0;
  Index3 block, grid;
};
extern constinit thread_local const ThreadView* current __attribute__((tls_model("initial-exec")));

// The order in which ready warps, and ready lanes in a warp, are run. A race shows as different
// results under different orders, so tests run each kernel under all three. Random also switches
// warps at collectives, and draws anew at every step.
enum class Schedule { Forward, Reverse, Random };

// Sets the order for launches of this thread, until destroyed. Without one the environment variable
// TENON_SIMT_SCHEDULE (forward, reverse or random) decides; the default is forward.
class ScheduleGuard {
 public:
  explicit ScheduleGuard(Schedule schedule, uint64_t seed = 1);
  ~ScheduleGuard();
  ScheduleGuard(const ScheduleGuard&) = delete;
  ScheduleGuard& operator=(const ScheduleGuard&) = delete;

 private:
  Schedule previous_;
  uint64_t previous_seed_;
};

// Waits for all threads of the block.
void block_barrier(const char* file, int line);

// Called once all lanes of `mask` have arrived; data[lane] is what that lane passed.
using Resolver = void (*)(void* const* data, uint32_t mask);
void warp_collective(uint32_t mask, Resolver resolve, void* data, const char* file, int line);

// The block's shared array of the declaration identified by `site`: the same for all threads, NaN
// bits at the start of each block.
void* static_shared(const void* site, size_t bytes);
void* dynamic_shared();

// cp.async: dst reads as NaN bits from here until this thread waits for the group. The first
// `valid` bytes come from src, the rest become zero.
void async_copy(void* dst, const void* src, int bytes, int valid);
void async_commit();
void async_wait(int groups_left);

// Ends the kernel with an error that names the running thread.
[[noreturn]] void fault(const std::string& text);
void require_aligned(const void* pointer, size_t bytes, const char* what);

// Calls body(arguments) once per thread of the grid.
void run_grid(const std::string& kernel, Index3 grid, int threads, size_t dynamic_bytes,
              void (*body)(void*), void* arguments);

}  // namespace tenon::simt
