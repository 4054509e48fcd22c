#include "core/memory/allocator.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "core/base/error.h"
#include "core/base/trace.h"

namespace tenon {

namespace {
thread_local const char* t_tag = "other";

size_t round_up(size_t n, size_t to) {
  return (n + to - 1) / to * to;
}
}  // namespace

MemoryTag::MemoryTag(const char* name) : outer_(t_tag) {
  t_tag = name;
}
MemoryTag::~MemoryTag() {
  t_tag = outer_;
}
const char* MemoryTag::current() {
  return t_tag;
}

std::string format_bytes(size_t bytes) {
  if (bytes >= size_t{1} << 30) return fmt::format("{:.1f} GiB", bytes / 1073741824.0);
  if (bytes >= size_t{1} << 20) return fmt::format("{:.1f} MiB", bytes / 1048576.0);
  if (bytes >= size_t{1} << 10) return fmt::format("{:.1f} KiB", bytes / 1024.0);
  return fmt::format("{} B", bytes);
}

CachingAllocator::CachingAllocator(std::unique_ptr<MemorySource> source)
    : CachingAllocator(std::move(source), Options{}) {}

CachingAllocator::CachingAllocator(std::unique_ptr<MemorySource> source, Options options)
    : source_(std::move(source)), options_(options) {}

CachingAllocator::~CachingAllocator() {
  release_cached_locked();
  for (Block* b : spare_blocks_) delete b;
  // Blocks still in use belong to objects that outlive the allocator; their memory stays.
}

void* CachingAllocator::allocate(size_t bytes) {
  if (bytes > (size_t{1} << 62)) out_of_memory(bytes, "the size is absurd");
  const size_t size = round_up(std::max<size_t>(bytes, 1), options_.alignment);
  const std::lock_guard lock(mutex_);
  Block* block = take_free(size);
  if (!block) block = grow(size);
  // Give back the rest unless it is too small to be of use.
  if (block->size >= size + options_.alignment * 4) {
    Block* rest;
    if (spare_blocks_.empty()) {
      rest = new Block;
    } else {
      rest = spare_blocks_.back();
      spare_blocks_.pop_back();
    }
    *rest = {block->data + size, block->size - size, block, block->next, nullptr, true, false};
    if (rest->next) rest->next->prev = rest;
    block->next = rest;
    block->size = size;
    free_.insert(rest);
  }
  block->free = false;
  block->tag = t_tag;
  used_[block->data] = block;
  tags_[block->tag] += block->size;
  stats_.in_use += block->size;
  stats_.peak_in_use = std::max(stats_.peak_in_use, stats_.in_use);
  ++stats_.allocations;
  if (options_.poison) std::memset(block->data, 0xff, block->size);
  return block->data;
}

CachingAllocator::Block* CachingAllocator::take_free(size_t bytes) {
  Block key{nullptr, bytes, nullptr, nullptr, nullptr, true, false};
  const auto it = free_.lower_bound(&key);
  if (it == free_.end()) return nullptr;
  Block* block = *it;
  free_.erase(it);
  return block;
}

CachingAllocator::Block* CachingAllocator::grow(size_t bytes) {
  const size_t size =
      round_up(bytes, bytes >= options_.segment ? size_t{2} << 20 : options_.segment);
  if (limit_ && stats_.reserved + size > limit_) release_cached_locked();
  size_t want = size;
  if (limit_ && stats_.reserved + want > limit_) {
    want = bytes;
    if (stats_.reserved + want > limit_)
      out_of_memory(bytes, fmt::format("the limit is {}", format_bytes(limit_)));
  }
  void* data = source_->acquire(want);
  if (!data) {
    release_cached_locked();
    data = source_->acquire(want);
  }
  if (!data) out_of_memory(bytes, "the system has no more");
  ++stats_.source_calls;
  stats_.reserved += want;
  stats_.peak_reserved = std::max(stats_.peak_reserved, stats_.reserved);
  trace(Trace::Memory, "{}: segment of {} for a request of {}", source_->name(), format_bytes(want),
        format_bytes(bytes));
  return new Block{static_cast<char*>(data), want, nullptr, nullptr, nullptr, true, true};
}

void CachingAllocator::deallocate(void* p) noexcept {
  if (!p) return;
  const std::lock_guard lock(mutex_);
  const auto it = used_.find(p);
  if (it == used_.end()) std::abort();  // a double free is memory corruption: stop here
  Block* block = it->second;
  used_.erase(it);
  stats_.in_use -= block->size;
  tags_[block->tag] -= block->size;
  block->free = true;
  // Merge with free neighbours.
  const auto absorb_next = [&](Block* a) {
    Block* b = a->next;
    a->size += b->size;
    a->next = b->next;
    if (a->next) a->next->prev = a;
    spare_blocks_.push_back(b);
  };
  if (block->next && block->next->free) {
    free_.erase(block->next);
    absorb_next(block);
  }
  if (block->prev && block->prev->free) {
    Block* prev = block->prev;
    free_.erase(prev);
    absorb_next(prev);
    block = prev;
  }
  free_.insert(block);
}

void CachingAllocator::release_cached() {
  const std::lock_guard lock(mutex_);
  release_cached_locked();
}

void CachingAllocator::release_cached_locked() {
  for (auto it = free_.begin(); it != free_.end();) {
    Block* block = *it;
    if (block->first && !block->next) {  // the whole segment is free
      it = free_.erase(it);
      source_->release(block->data, block->size);
      stats_.reserved -= block->size;
      delete block;
    } else {
      ++it;
    }
  }
}

void CachingAllocator::set_limit(size_t bytes) {
  const std::lock_guard lock(mutex_);
  limit_ = bytes;
}

MemoryStats CachingAllocator::stats() const {
  const std::lock_guard lock(mutex_);
  return stats_;
}

void CachingAllocator::reset_peak() {
  const std::lock_guard lock(mutex_);
  stats_.peak_in_use = stats_.in_use;
  stats_.peak_reserved = stats_.reserved;
}

std::vector<std::pair<std::string, size_t>> CachingAllocator::by_tag() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::pair<std::string, size_t>> out;
  for (const auto& [tag, bytes] : tags_)
    if (bytes) out.emplace_back(tag, bytes);
  std::sort(out.begin(), out.end(), [](auto& a, auto& b) { return a.second > b.second; });
  return out;
}

size_t CachingAllocator::largest_free() const {
  const std::lock_guard lock(mutex_);
  return free_.empty() ? 0 : (*free_.rbegin())->size;
}

void CachingAllocator::out_of_memory(size_t bytes, std::string_view why) {
  // The mutex is held: read the members directly.
  const size_t cached = stats_.reserved - stats_.in_use;
  const size_t largest = free_.empty() ? 0 : (*free_.rbegin())->size;
  std::vector<std::pair<std::string_view, size_t>> tags(tags_.begin(), tags_.end());
  std::erase_if(tags, [](const auto& tag) { return tag.second == 0; });
  std::sort(tags.begin(), tags.end(), [](auto& a, auto& b) { return a.second > b.second; });
  std::string top;
  for (size_t i = 0; i < std::min<size_t>(tags.size(), 4); ++i)
    top += fmt::format("{}{} {}", i ? ", " : "", tags[i].first, format_bytes(tags[i].second));
  throw Error(
      ErrorKind::Memory,
      fmt::format("{} is out of memory: wanted {}, {} in use ({}), {} cached with a largest "
                  "block of {}; {}",
                  source_->name(), format_bytes(bytes), format_bytes(stats_.in_use), top,
                  format_bytes(cached), format_bytes(largest), why),
      "a smaller --micro-batch gives the same result in less memory");
}

namespace {

class HostMemory final : public MemorySource {
 public:
  void* acquire(size_t bytes) override {
    void* p = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return nullptr;
    madvise(p, bytes, MADV_HUGEPAGE);  // fewer page faults; harmless where refused
    return p;
  }
  void release(void* p, size_t bytes) override { munmap(p, bytes); }
  std::string name() const override { return "cpu"; }
  size_t capacity() const override {
    return static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) *
           static_cast<size_t>(sysconf(_SC_PAGESIZE));
  }
};

size_t limit_from_environment() {
  const char* env = std::getenv("TENON_MEMORY_LIMIT");
  if (!env || !*env) return 0;
  char* end = nullptr;
  const double value = std::strtod(env, &end);
  double unit = 1;
  switch (*end) {
    case 'K':
      unit = 1024.0;
      ++end;
      break;
    case 'M':
      unit = 1048576.0;
      ++end;
      break;
    case 'G':
      unit = 1073741824.0;
      ++end;
      break;
    default:
      break;
  }
  check(*end == 0 && value > 0, ErrorKind::Usage,
        "TENON_MEMORY_LIMIT is '{}', want bytes such as 800M or 4G", env);
  return static_cast<size_t>(value * unit);
}

}  // namespace

CachingAllocator& cpu_allocator() {
  // Never destroyed: tensors with static lifetime may be freed after any static object.
  static CachingAllocator* allocator = [] {
    CachingAllocator::Options options;
    const char* poison = std::getenv("TENON_POISON");
    options.poison = poison && *poison == '1';
    auto* a = new CachingAllocator(std::make_unique<HostMemory>(), options);
    a->set_limit(limit_from_environment());
    return a;
  }();
  return *allocator;
}

}  // namespace tenon
