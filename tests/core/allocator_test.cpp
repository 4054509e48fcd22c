#include <cstdint>
#include <cstring>
#include <deque>

#include "core/base/error.h"
#include "core/memory/allocator.h"
#include "tests/support/catch.h"

using namespace tenon;

namespace {

// A device of fixed size, whose addresses are never touched.
class FakeDevice final : public MemorySource {
 public:
  FakeDevice(size_t capacity, size_t* held) : capacity_(capacity), held_(held) {}
  void* acquire(size_t bytes) override {
    if (*held_ + bytes > capacity_) return nullptr;
    *held_ += bytes;
    next_ += size_t{1} << 32;
    return reinterpret_cast<void*>(next_);
  }
  void release(void*, size_t bytes) override { *held_ -= bytes; }
  std::string name() const override { return "fake:0"; }

 private:
  size_t capacity_, *held_;
  uintptr_t next_ = 0;
};

constexpr size_t kMiB = size_t{1} << 20;

struct Fixture {
  size_t held = 0;
  CachingAllocator allocator;
  explicit Fixture(size_t capacity, size_t segment = kMiB)
      : allocator(std::make_unique<FakeDevice>(capacity, &held), options(segment)) {}
  static CachingAllocator::Options options(size_t segment) {
    CachingAllocator::Options o;
    o.segment = segment;
    return o;
  }
};

}  // namespace

TEST_CASE("allocator: freed memory is used again, whatever the size", "[allocator]") {
  Fixture f(64 * kMiB);
  void* a = f.allocator.allocate(700 * 1024);
  f.allocator.deallocate(a);
  void* b = f.allocator.allocate(300 * 1024);
  void* c = f.allocator.allocate(300 * 1024);
  CHECK(f.held == kMiB);  // both cut from the one segment
  CHECK(b != c);
  f.allocator.deallocate(b);
  f.allocator.deallocate(c);
  CHECK(f.allocator.largest_free() == kMiB);  // neighbours merged again
  CHECK(f.allocator.stats().in_use == 0);
}

TEST_CASE("allocator: addresses are aligned and never overlap", "[allocator]") {
  Fixture f(64 * kMiB);
  std::deque<std::pair<uintptr_t, size_t>> live;
  uint64_t state = 1;
  for (int i = 0; i < 3000; ++i) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    const size_t bytes = (state >> 33) % 20000;
    if (live.size() > 50) {
      f.allocator.deallocate(reinterpret_cast<void*>(live.front().first));
      live.pop_front();
    }
    const auto p = reinterpret_cast<uintptr_t>(f.allocator.allocate(bytes));
    REQUIRE(p % 64 == 0);
    for (const auto& [q, n] : live) REQUIRE((p + bytes <= q || q + n <= p));
    live.emplace_back(p, std::max<size_t>(bytes, 1));
  }
  for (const auto& [p, n] : live) f.allocator.deallocate(reinterpret_cast<void*>(p));
  CHECK(f.allocator.stats().in_use == 0);
  f.allocator.release_cached();
  CHECK(f.held == 0);
}

TEST_CASE("allocator: out of memory says what is held; cached memory is given up first",
          "[allocator]") {
  Fixture f(8 * kMiB);
  void* a;
  {
    const MemoryTag tag("saved activations");
    a = f.allocator.allocate(2 * kMiB);
  }
  void* b = f.allocator.allocate(4 * kMiB);
  f.allocator.deallocate(b);
  void* c = f.allocator.allocate(5 * kMiB);  // only fits after the cached 4 MiB went back
  REQUIRE(c != nullptr);
  REQUIRE_ERROR(f.allocator.allocate(2 * kMiB), ErrorKind::Memory, "saved activations 2.0 MiB");
  REQUIRE_ERROR(f.allocator.allocate(2 * kMiB), ErrorKind::Memory, "fake:0 is out of memory");
  REQUIRE_ERROR(f.allocator.allocate(SIZE_MAX), ErrorKind::Memory, "absurd");
  f.allocator.deallocate(a);
  f.allocator.deallocate(c);
}

TEST_CASE("allocator: limit, peak and tags", "[allocator]") {
  Fixture f(64 * kMiB);
  f.allocator.set_limit(4 * kMiB);
  void* a = f.allocator.allocate(3 * kMiB);
  REQUIRE_ERROR(f.allocator.allocate(2 * kMiB), ErrorKind::Memory, "the limit is 4.0 MiB");
  CHECK(f.allocator.by_tag().at(0).second == 3 * kMiB);
  f.allocator.deallocate(a);
  CHECK(f.allocator.stats().peak_in_use == 3 * kMiB);
  f.allocator.reset_peak();
  CHECK(f.allocator.stats().peak_in_use == 0);
  CHECK(f.allocator.by_tag().empty());
}
