#include "cuda/simt/shared_memory.h"

#include <cstdlib>
#include <cstring>
#include <new>

#include "cuda/simt/simt.h"

#if defined(__SANITIZE_ADDRESS__)
#define TENON_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TENON_ASAN 1
#endif
#endif
#if defined(TENON_ASAN)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#define ASAN_UNPOISON_MEMORY_REGION(address, bytes) ((void)(address), (void)(bytes))
#endif

namespace tenon::simt {
namespace {

constexpr size_t kAlign = 128;  // as much as any vector or matrix instruction asks for
constexpr size_t kFence = 128;  // unused bytes between arrays, so that an overrun is seen
constexpr size_t kArenaBytes = kMaxShared + 64 * (kAlign + kFence);

}  // namespace

SharedMemory::SharedMemory()
    : arena_(static_cast<std::byte*>(std::aligned_alloc(kAlign, kArenaBytes))) {
  if (!arena_) throw std::bad_alloc();
  ASAN_POISON_MEMORY_REGION(arena_.get(), kArenaBytes);
}

SharedMemory::~SharedMemory() {
  ASAN_UNPOISON_MEMORY_REGION(arena_.get(), kArenaBytes);
}

void SharedMemory::Free::operator()(std::byte* pointer) const {
  std::free(pointer);
}

std::byte* SharedMemory::hand_out(size_t bytes) {
  std::byte* start = arena_.get() + used_;
  used_ += (bytes + kAlign - 1) / kAlign * kAlign + kFence;
  ASAN_UNPOISON_MEMORY_REGION(start, bytes);
  std::memset(start, 0xff, bytes);
  return start;
}

void SharedMemory::start_block(size_t dynamic_bytes) {
  ASAN_POISON_MEMORY_REGION(arena_.get(), used_);
  arrays_.clear();
  used_ = static_bytes_ = 0;
  dynamic_bytes_ = dynamic_bytes;
  hand_out(dynamic_bytes);
}

void* SharedMemory::array(const void* site, size_t bytes) {
  for (const Array& a : arrays_)
    if (a.site == site) return arena_.get() + a.offset;
  const size_t total = static_bytes_ + bytes;
  if (total > kMaxStaticShared || total + dynamic_bytes_ > kMaxShared) return nullptr;
  if (used_ + bytes + kAlign + kFence > kArenaBytes) return nullptr;
  static_bytes_ = total;
  arrays_.push_back({site, used_});
  return hand_out(bytes);
}

}  // namespace tenon::simt
