// Allocators. Everything the engine keeps in memory comes from one of these, so that limits,
// statistics and the out-of-memory message see all of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tenon {

// Fresh memory in large pieces: the operating system, a GPU driver, or a fake in tests.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  virtual void* acquire(size_t bytes) = 0;  // nullptr when there is none
  virtual void release(void* p, size_t bytes) = 0;
  virtual std::string name() const = 0;          // "cpu", "cuda:0"
  virtual size_t capacity() const { return 0; }  // bytes in the device; 0 = unknown
};

struct MemoryStats {
  size_t in_use = 0;       // bytes handed out
  size_t peak_in_use = 0;  // highest in_use since the last reset_peak
  size_t reserved = 0;     // bytes held from the source (in use + cached)
  size_t peak_reserved = 0;
  uint64_t allocations = 0;   // calls
  uint64_t source_calls = 0;  // calls that had to ask the source
};

class Allocator {
 public:
  virtual ~Allocator() = default;
  // At least 64-byte aligned, never nullptr; throws Memory with a report. bytes may be 0.
  virtual void* allocate(size_t bytes) = 0;
  virtual void deallocate(void* p) noexcept = 0;
  virtual MemoryStats stats() const = 0;
  virtual void reset_peak() = 0;
  virtual void release_cached() = 0;
  // Bytes reserved from the source may not pass this; 0 = no limit.
  virtual void set_limit(size_t bytes) = 0;
};

// Names what is being allocated on this thread ("weights", "saved activations", "optimizer") for
// the statistics by tag. Scopes nest; the innermost wins. The text must outlive the allocator:
// literals.
class MemoryTag {
 public:
  explicit MemoryTag(const char* name);
  ~MemoryTag();
  MemoryTag(const MemoryTag&) = delete;
  MemoryTag& operator=(const MemoryTag&) = delete;
  static const char* current();

 private:
  const char* outer_;
};

// Keeps freed memory for reuse. Blocks are cut from large segments, best fit first, and merge with
// free neighbours, so different sizes share memory (the peak is what a training step needs, not the
// sum of what each size once needed).
class CachingAllocator final : public Allocator {
 public:
  struct Options {
    size_t alignment = 64;
    size_t segment = size_t{32} << 20;  // smallest piece asked from the source
    bool poison = false;  // fill host memory with NaN bits on allocation; TENON_POISON=1 sets it
  };
  explicit CachingAllocator(std::unique_ptr<MemorySource> source);
  CachingAllocator(std::unique_ptr<MemorySource> source, Options options);
  ~CachingAllocator() override;

  void* allocate(size_t bytes) override;
  void deallocate(void* p) noexcept override;
  MemoryStats stats() const override;
  void reset_peak() override;
  void release_cached() override;
  void set_limit(size_t bytes) override;

  // Bytes in use by tag, largest first.
  std::vector<std::pair<std::string, size_t>> by_tag() const;
  size_t largest_free() const;

 private:
  struct Block {
    char* data;
    size_t size;
    Block* prev;  // neighbours in the segment
    Block* next;
    const char* tag;
    bool free;
    bool first;  // starts a segment
  };
  struct SmallerFree {
    bool operator()(const Block* a, const Block* b) const {
      return a->size != b->size ? a->size < b->size : a->data < b->data;
    }
  };

  Block* take_free(size_t bytes);
  Block* grow(size_t bytes);
  void release_cached_locked();
  [[noreturn]] void out_of_memory(size_t bytes, std::string_view why);

  std::unique_ptr<MemorySource> source_;
  Options options_;
  size_t limit_ = 0;
  mutable std::mutex mutex_;
  std::set<Block*, SmallerFree> free_;
  std::map<void*, Block*> used_;
  std::vector<Block*> spare_blocks_;
  std::map<std::string_view, size_t> tags_;
  MemoryStats stats_;
};

// The allocator of the host. Limit from TENON_MEMORY_LIMIT (bytes, with K, M, G).
CachingAllocator& cpu_allocator();

// "1.5 GiB".
std::string format_bytes(size_t bytes);

}  // namespace tenon
