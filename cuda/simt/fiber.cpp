#include "cuda/simt/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>

#include "core/base/error.h"

#if defined(TENON_HAVE_BOOST_CONTEXT)
#include <boost/context/detail/fcontext.hpp>
#else
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define TENON_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TENON_ASAN 1
#endif
#endif
#if defined(__SANITIZE_THREAD__)
#define TENON_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define TENON_TSAN 1
#endif
#endif

#if defined(TENON_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif
#if defined(TENON_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

namespace tenon::simt {

struct Fiber::State {
  char* mapping = nullptr;  // guard page, then the stack; null for a thread's own stack
  size_t mapped_bytes = 0;
  const void* stack_bottom = nullptr;
  size_t stack_bytes = 0;
  Entry entry = nullptr;
  void* argument = nullptr;
  void* fake_stack = nullptr;  // AddressSanitizer's
  void* tsan_fiber = nullptr;  // ThreadSanitizer's
  bool own_tsan_fiber = false;
#if defined(TENON_HAVE_BOOST_CONTEXT)
  boost::context::detail::fcontext_t context = nullptr;
#else
  ucontext_t context;
  bool started = false;
#endif
};

namespace {

struct Switch {
  Fiber* from;
  Fiber* to;
};

}  // namespace

// The parts that need Fiber's private state.
struct FiberAccess {
  static Fiber::State& of(Fiber& fiber) { return *fiber.state_; }

  // First instruction of a fiber on its own stack.
  static void begin([[maybe_unused]] Fiber::State& from, Fiber::State& self) {
#if defined(TENON_ASAN)
    const void* bottom = nullptr;
    size_t bytes = 0;
    __sanitizer_finish_switch_fiber(nullptr, &bottom, &bytes);
    if (!from.mapping) {  // learn where the thread's own stack lies, to be able to return to it
      from.stack_bottom = bottom;
      from.stack_bytes = bytes;
    }
#endif
    self.entry(self.argument);
    __builtin_unreachable();
  }

#if defined(TENON_HAVE_BOOST_CONTEXT)
  static void boost_entry(boost::context::detail::transfer_t transfer) {
    const Switch change = *static_cast<Switch*>(transfer.data);
    of(*change.from).context = transfer.fctx;
    begin(of(*change.from), of(*change.to));
  }
#else
  // makecontext passes only ints, so the pointers travel in two halves each.
  static void ucontext_entry(unsigned high, unsigned low) {
    auto* change = reinterpret_cast<Switch*>((static_cast<uintptr_t>(high) << 32) | low);
    const Switch copy = *change;
    begin(of(*copy.from), of(*copy.to));
  }
#endif
};

Fiber::Fiber() : state_(new State) {
#if defined(TENON_TSAN)
  state_->tsan_fiber = __tsan_get_current_fiber();
#endif
}

Fiber::Fiber(size_t stack_bytes, Entry entry, void* argument) : state_(new State) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  stack_bytes = (stack_bytes + page - 1) / page * page;
  state_->mapped_bytes = stack_bytes + page;
  void* mapping = mmap(nullptr, state_->mapped_bytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (mapping == MAP_FAILED) {
    const int error = errno;
    delete state_;
    throw_error(ErrorKind::Memory, "cannot map {} bytes for the stack of an emulated thread: {}",
                stack_bytes, std::strerror(error));
  }
  state_->mapping = static_cast<char*>(mapping);
  mprotect(mapping, page, PROT_NONE);  // an overflow faults instead of writing into a neighbour
  state_->stack_bottom = state_->mapping + page;
  state_->stack_bytes = stack_bytes;
  state_->entry = entry;
  state_->argument = argument;
#if defined(TENON_HAVE_BOOST_CONTEXT)
  // Stacks start at different offsets in their pages: the hot lines of hundreds of stacks would
  // otherwise fall into the same few sets of the cache.
  static std::atomic<unsigned> color{0};
  const size_t skip = color++ % 16 * 192;
  state_->context = boost::context::detail::make_fcontext(
      state_->mapping + state_->mapped_bytes - skip, stack_bytes - skip, &FiberAccess::boost_entry);
#endif
#if defined(TENON_TSAN)
  state_->tsan_fiber = __tsan_create_fiber(0);
  state_->own_tsan_fiber = true;
#endif
}

Fiber::~Fiber() {
#if defined(TENON_TSAN)
  if (state_->own_tsan_fiber) __tsan_destroy_fiber(state_->tsan_fiber);
#endif
  if (state_->mapping) munmap(state_->mapping, state_->mapped_bytes);
  delete state_;
}

void Fiber::switch_to(Fiber& from, Fiber& to) {
  [[maybe_unused]] State& a = *from.state_;
  State& b = *to.state_;
  Switch change{&from, &to};
#if defined(TENON_ASAN)
  __sanitizer_start_switch_fiber(&a.fake_stack, b.stack_bottom, b.stack_bytes);
#endif
#if defined(TENON_TSAN)
  __tsan_switch_to_fiber(b.tsan_fiber, 0);
#endif
#if defined(TENON_HAVE_BOOST_CONTEXT)
  const auto back = boost::context::detail::jump_fcontext(b.context, &change);
  FiberAccess::of(*static_cast<Switch*>(back.data)->from).context = back.fctx;
#else
  if (b.mapping && !b.started) {
    b.started = true;
    getcontext(&b.context);
    b.context.uc_stack.ss_sp = const_cast<void*>(b.stack_bottom);
    b.context.uc_stack.ss_size = b.stack_bytes;
    b.context.uc_link = nullptr;
    const auto address = reinterpret_cast<uintptr_t>(&change);
    makecontext(&b.context, reinterpret_cast<void (*)()>(&FiberAccess::ucontext_entry), 2,
                static_cast<unsigned>(address >> 32), static_cast<unsigned>(address));
  }
  swapcontext(&a.context, &b.context);
#endif
#if defined(TENON_ASAN)
  __sanitizer_finish_switch_fiber(a.fake_stack, nullptr, nullptr);
#endif
}

}  // namespace tenon::simt
