#include "cuda/simt/simt.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "cuda/simt/fiber.h"
#include "cuda/simt/shared_memory.h"

namespace tenon::simt {

constinit thread_local const ThreadView* current __attribute__((tls_model("initial-exec"))) =
    nullptr;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr size_t kStackBytes = 256 * 1024;  // instrumented frames are larger
#else
constexpr size_t kStackBytes = 64 * 1024;
#endif
constexpr int kMaxThreads = 1024;

// Thrown through a suspended thread to unwind it after another one failed.
struct Unwind {};

struct Place {
  const char* file = "";
  int line = 0;
  bool operator==(const Place& other) const {
    return line == other.line && (file == other.file || std::strcmp(file, other.file) == 0);
  }
  std::string text() const {
    const char* slash = std::strrchr(file, '/');
    return fmt::format("{}:{}", slash ? slash + 1 : file, line);
  }
};

struct AsyncCopy {
  void* dst;
  const void* src;
  int bytes, valid, group;
};

std::string text_of(Index3 i) {
  return fmt::format("({},{},{})", i.x, i.y, i.z);
}

class Engine;

struct Thread : ThreadView {
  Thread(Engine& owner, int index);
  static Thread& running() { return *static_cast<Thread*>(const_cast<ThreadView*>(current)); }

  Engine& engine;
  Place place;  // of the barrier or collective it waits at
  uint32_t mask = 0;
  Resolver resolve = nullptr;
  std::vector<AsyncCopy> copies;
  int groups = 0;  // cp.async groups committed so far
  Fiber fiber;

  int warp() const { return thread / kWarpSize; }
  uint32_t bit() const { return 1u << (thread % kWarpSize); }
};

// One bit per lane: each lane that exists is in exactly one of the other four sets.
struct Warp {
  uint32_t exist = 0;
  uint32_t ready = 0, at_barrier = 0, at_collective = 0, returned = 0;
  std::array<void*, kWarpSize> data{};
};

struct Order {
  Schedule schedule = Schedule::Forward;
  uint64_t seed = 1;
};

Order order_from_environment() {
  const char* value = std::getenv("TENON_SIMT_SCHEDULE");
  if (!value || !*value || !std::strcmp(value, "forward")) return {Schedule::Forward, 1};
  if (!std::strcmp(value, "reverse")) return {Schedule::Reverse, 1};
  if (!std::strcmp(value, "random")) return {Schedule::Random, 1};
  throw_error(ErrorKind::Usage, "TENON_SIMT_SCHEDULE is '{}', want forward, reverse or random",
              value);
}

// The emulator of one host thread. Kept between launches for its stacks.
class Engine {
 public:
  static Engine& of_this_thread() {
    static thread_local Engine engine;
    return engine;
  }

  void run_grid(const std::string& kernel, Index3 grid, int threads, size_t dynamic_bytes,
                void (*body)(void*), void* arguments);

  void wait_at_barrier(Place place);
  void wait_at_collective(uint32_t mask, Resolver resolve, void* data, Place place);
  [[noreturn]] void run_thread(Thread& self);

  SharedMemory& shared() { return shared_; }
  Order order = order_from_environment();

 private:
  void run_block(Index3 index);
  void wait(Thread& self);  // gives way to other threads; back when ready again
  Fiber& next();            // the thread to run now, or main_ when the block is over
  void release_barrier();
  void check_collective(const Warp& warp, int first_thread);
  void fail(const Thread& thread, const std::string& text);
  int pick(uint32_t set);
  uint64_t draw();
  Warp& warp_of(const Thread& thread) { return warps_[static_cast<size_t>(thread.warp())]; }

  std::vector<std::unique_ptr<Thread>> threads_;  // the first count_ form the block
  size_t count_ = 0;
  std::vector<Warp> warps_;
  SharedMemory shared_;
  Fiber main_;
  const std::string* kernel_ = nullptr;  // null when no grid runs
  void (*body_)(void*) = nullptr;
  void* arguments_ = nullptr;
  uint32_t ready_warps_ = 0;
  int warp_ = -1;  // the warp that runs
  uint64_t random_ = 1;
  std::string error_;  // the first fault of the block; the other threads then unwind
};

void thread_entry(void* self) {
  Thread& thread = *static_cast<Thread*>(self);
  thread.engine.run_thread(thread);
}

Thread::Thread(Engine& owner, int index) : engine(owner), fiber(kStackBytes, &thread_entry, this) {
  thread = index;
}

uint64_t Engine::draw() {  // xorshift64* (Vigna 2016)
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  return random_ * 0x2545F4914F6CDD1Dull;
}

int Engine::pick(uint32_t set) {
  switch (order.schedule) {
    case Schedule::Forward:
      return std::countr_zero(set);
    case Schedule::Reverse:
      return 31 - std::countl_zero(set);
    case Schedule::Random:
      break;
  }
  const int turn = static_cast<int>(draw() >> 59);
  return (std::countr_zero(std::rotr(set, turn)) + turn) % 32;
}

void Engine::fail(const Thread& thread, const std::string& text) {
  if (!error_.empty()) return;
  error_ = fmt::format("kernel {}, block {}, thread {}: {}", *kernel_, text_of(thread.block),
                       thread.thread, text);
}

void Engine::run_thread(Thread& self) {
  for (;;) {  // once per block
    try {
      if (error_.empty()) body_(arguments_);
    } catch (const Unwind&) {
    } catch (const std::exception& e) {
      fail(self, e.what());
    } catch (...) {
      fail(self, "threw something that is not a std::exception");
    }
    self.copies.clear();
    Warp& warp = warp_of(self);
    warp.ready &= ~self.bit();
    warp.returned |= self.bit();
    wait(self);
  }
}

void Engine::wait(Thread& self) {
  Fiber& target = next();
  if (&target != &self.fiber) Fiber::switch_to(self.fiber, target);
}

Fiber& Engine::next() {
  if (warp_ >= 0 && error_.empty()) {
    const Warp& warp = warps_[static_cast<size_t>(warp_)];
    if (!warp.ready && warp.at_collective) check_collective(warp, warp_ * kWarpSize);
    if (!warp.ready) ready_warps_ &= ~(1u << warp_);
    const bool stay = warp.ready && (order.schedule != Schedule::Random || draw() >> 61);
    if (!stay) warp_ = -1;
  }
  if (error_.empty() && !ready_warps_) release_barrier();
  if (!error_.empty()) {  // wake every thread that has begun, so that it unwinds
    ready_warps_ = 0;
    for (size_t w = 0; w < warps_.size(); ++w) {
      Warp& warp = warps_[w];
      warp.ready |= warp.at_barrier | warp.at_collective;
      warp.at_barrier = warp.at_collective = 0;
      if (warp.ready) ready_warps_ |= 1u << w;
    }
    warp_ = -1;
  }
  if (!ready_warps_) return main_;
  if (warp_ < 0) warp_ = pick(ready_warps_);
  const int lane = pick(warps_[static_cast<size_t>(warp_)].ready);
  Thread& chosen = *threads_[static_cast<size_t>(warp_ * kWarpSize + lane)];
  current = &chosen;
  return chosen.fiber;
}

void Engine::release_barrier() {
  int waiting = 0, returned = 0;
  const Thread* first = nullptr;
  for (size_t w = 0; w < warps_.size(); ++w) {
    waiting += std::popcount(warps_[w].at_barrier);
    returned += std::popcount(warps_[w].returned);
    if (!first && warps_[w].at_barrier)
      first = threads_[w * kWarpSize + static_cast<size_t>(std::countr_zero(warps_[w].at_barrier))]
                  .get();
  }
  if (!waiting) return;
  if (returned)
    return fail(*first, fmt::format("waits at the barrier {} that {} of {} threads never reach, "
                                    "because they returned",
                                    first->place.text(), returned, returned + waiting));
  for (int i = 0; i < waiting; ++i) {
    const Thread& other = *threads_[static_cast<size_t>(i)];
    if (!(other.place == first->place))
      return fail(other, fmt::format("waits at the barrier {} while thread {} waits at {}",
                                     other.place.text(), first->thread, first->place.text()));
  }
  for (size_t w = 0; w < warps_.size(); ++w) {
    warps_[w].ready = warps_[w].at_barrier;
    warps_[w].at_barrier = 0;
    ready_warps_ |= 1u << w;
  }
}

// No lane of the warp can go on and some wait at a collective: says who is missing.
void Engine::check_collective(const Warp& warp, int first_thread) {
  const int lane = std::countr_zero(warp.at_collective);
  const Thread& self = *threads_[static_cast<size_t>(first_thread + lane)];
  const std::string here = fmt::format("the collective {} with mask {:#010x} waits for lane",
                                       self.place.text(), self.mask);
  for (int other = 0; other < kWarpSize; ++other) {
    const uint32_t bit = 1u << other;
    if (!(self.mask & bit)) continue;
    const size_t index = static_cast<size_t>(first_thread + other);
    if ((warp.returned | ~warp.exist) & bit)
      return fail(self, fmt::format("{} {}, which returned or never existed", here, other));
    const Thread& thread = *threads_[index];
    if (warp.at_barrier & bit)
      return fail(self, fmt::format("{} {}, which waits at the block barrier {}", here, other,
                                    thread.place.text()));
    if (thread.mask != self.mask || thread.resolve != self.resolve || !(thread.place == self.place))
      return fail(self, fmt::format("{} {}, which waits at the collective {} with mask {:#010x}",
                                    here, other, thread.place.text(), thread.mask));
  }
  fail(self, here + " nobody");
}

void Engine::wait_at_barrier(Place place) {
  Thread& self = Thread::running();
  self.place = place;
  Warp& warp = warp_of(self);
  warp.ready &= ~self.bit();
  warp.at_barrier |= self.bit();
  wait(self);
  if (!error_.empty()) throw Unwind{};
}

void Engine::wait_at_collective(uint32_t mask, Resolver resolve, void* data, Place place) {
  Thread& self = Thread::running();
  Warp& warp = warp_of(self);
  const auto refuse = [&](const char* why) {
    fault(fmt::format("the mask {:#010x} of the collective {} {}", mask, place.text(), why));
  };
  if (!(mask & self.bit())) refuse("does not name the calling lane");
  if (mask & (warp.returned | ~warp.exist)) refuse("names lanes that returned or never existed");
  self.place = place;
  self.mask = mask;
  self.resolve = resolve;
  warp.data[static_cast<size_t>(self.thread % kWarpSize)] = data;
  warp.ready &= ~self.bit();
  warp.at_collective |= self.bit();
  if ((warp.at_collective & mask) == mask) {
    bool all_here = true;
    for (uint32_t rest = mask; rest; rest &= rest - 1) {
      const Thread& other =
          *threads_[static_cast<size_t>(self.warp() * kWarpSize + std::countr_zero(rest))];
      all_here &= other.mask == mask && other.resolve == resolve && other.place == place;
    }
    if (all_here) {
      resolve(warp.data.data(), mask);
      warp.at_collective &= ~mask;
      warp.ready |= mask;
    }
  }
  wait(self);
  if (!error_.empty()) throw Unwind{};
}

void Engine::run_block(Index3 index) {
  for (size_t w = 0; w < warps_.size(); ++w) {
    const size_t lanes = std::min<size_t>(kWarpSize, count_ - w * kWarpSize);
    warps_[w] = Warp{};
    warps_[w].exist = warps_[w].ready = lanes == kWarpSize ? ~0u : (1u << lanes) - 1;
    ready_warps_ |= 1u << w;
  }
  for (size_t i = 0; i < count_; ++i) {
    threads_[i]->block = index;
    threads_[i]->groups = 0;
  }
  warp_ = -1;
  Fiber::switch_to(main_, next());
  current = nullptr;
  if (!error_.empty()) throw Error(ErrorKind::Internal, std::exchange(error_, {}));
}

void Engine::run_grid(const std::string& kernel, Index3 grid, int threads, size_t dynamic_bytes,
                      void (*body)(void*), void* arguments) {
  const auto refuse = [&](const std::string& why) {
    throw_error(ErrorKind::Internal, "kernel {} with grid {} and {} threads: {}", kernel,
                text_of(grid), threads, why);
  };
  if (kernel_) refuse(fmt::format("launched from inside kernel {}", *kernel_));
  if (threads < 1 || threads > kMaxThreads) refuse("want 1 to 1024 threads in a block");
  if (grid.x < 1 || grid.y < 1 || grid.z < 1 || grid.y > 65535 || grid.z > 65535)
    refuse("want at least one block, at most 65535 in y and z");
  if (dynamic_bytes > kMaxShared)
    refuse(fmt::format("{} bytes of shared memory, a block has {}", dynamic_bytes, kMaxShared));

  count_ = static_cast<size_t>(threads);
  while (threads_.size() < count_)
    threads_.push_back(std::make_unique<Thread>(*this, static_cast<int>(threads_.size())));
  warps_.resize((count_ + kWarpSize - 1) / kWarpSize);
  for (size_t i = 0; i < count_; ++i) {
    threads_[i]->block_threads = threads;
    threads_[i]->grid = grid;
  }
  struct Running {  // so that a failed launch leaves the engine ready for the next one
    Engine& engine;
    ~Running() { engine.kernel_ = nullptr; }
  } guard{*this};
  kernel_ = &kernel;
  body_ = body;
  arguments_ = arguments;
  random_ = order.seed * 0x9E3779B97F4A7C15ull | 1;
  for (int z = 0; z < grid.z; ++z)
    for (int y = 0; y < grid.y; ++y)
      for (int x = 0; x < grid.x; ++x) {
        shared_.start_block(dynamic_bytes);
        run_block({x, y, z});
      }
}

}  // namespace

ScheduleGuard::ScheduleGuard(Schedule schedule, uint64_t seed) {
  Order& order = Engine::of_this_thread().order;
  previous_ = order.schedule;
  previous_seed_ = order.seed;
  order = {schedule, seed};
}

ScheduleGuard::~ScheduleGuard() {
  Engine::of_this_thread().order = {previous_, previous_seed_};
}

void block_barrier(const char* file, int line) {
  Thread::running().engine.wait_at_barrier({file, line});
}

void warp_collective(uint32_t mask, Resolver resolve, void* data, const char* file, int line) {
  Thread::running().engine.wait_at_collective(mask, resolve, data, {file, line});
}

void* static_shared(const void* site, size_t bytes) {
  void* array = Thread::running().engine.shared().array(site, bytes);
  if (!array)
    fault(fmt::format("{} more bytes of shared memory exceed {} static or {} in all", bytes,
                      kMaxStaticShared, kMaxShared));
  return array;
}

void* dynamic_shared() {
  return Thread::running().engine.shared().dynamic();
}

void async_copy(void* dst, const void* src, int bytes, int valid) {
  require_aligned(dst, static_cast<size_t>(bytes), "cp_async destination");
  if (valid) require_aligned(src, static_cast<size_t>(bytes), "cp_async source");
  Thread& self = Thread::running();
  std::memset(dst, 0xff, static_cast<size_t>(bytes));
  self.copies.push_back({dst, src, bytes, valid, self.groups});
}

void async_commit() {
  ++Thread::running().groups;
}

void async_wait(int groups_left) {
  Thread& self = Thread::running();
  const auto due = [&](const AsyncCopy& copy) { return copy.group < self.groups - groups_left; };
  for (const AsyncCopy& copy : self.copies) {
    if (!due(copy)) continue;
    if (copy.valid) std::memcpy(copy.dst, copy.src, static_cast<size_t>(copy.valid));
    std::memset(static_cast<char*>(copy.dst) + copy.valid, 0,
                static_cast<size_t>(copy.bytes - copy.valid));
  }
  std::erase_if(self.copies, due);
}

void fault(const std::string& text) {
  throw std::runtime_error(text);
}

void require_aligned(const void* pointer, size_t bytes, const char* what) {
  if (reinterpret_cast<uintptr_t>(pointer) % bytes)
    fault(fmt::format("{} {} is not aligned to {} bytes", what, fmt::ptr(pointer), bytes));
}

void run_grid(const std::string& kernel, Index3 grid, int threads, size_t dynamic_bytes,
              void (*body)(void*), void* arguments) {
  Engine::of_this_thread().run_grid(kernel, grid, threads, dynamic_bytes, body, arguments);
}

}  // namespace tenon::simt
