// A fiber: a stack of its own that runs until it hands the processor to another fiber. Uses
// Boost.Context where found (about 10 ns a switch), else ucontext (two system calls a switch).
// The sanitizers are told of every switch.
#pragma once

#include <cstddef>

namespace tenon::simt {

struct FiberAccess;

class Fiber {
 public:
  using Entry = void (*)(void* argument);

  // The fiber that stands for the calling thread's own stack: only a place to return to.
  Fiber();
  // A fiber that runs entry(argument) when first switched to. entry must never return.
  Fiber(size_t stack_bytes, Entry entry, void* argument);
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Leaves `from`, which must be the running fiber, and returns when something switches back to it.
  static void switch_to(Fiber& from, Fiber& to);

 private:
  friend struct FiberAccess;
  struct State;
  State* state_;
};

}  // namespace tenon::simt
