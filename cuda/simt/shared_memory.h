// The shared memory of one emulated block: poisoned, counted, and fenced for AddressSanitizer.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

namespace tenon::simt {

class SharedMemory {
 public:
  SharedMemory();
  ~SharedMemory();

  // Forgets all arrays and hands out `dynamic_bytes` of NaN bits as the dynamic one.
  void start_block(size_t dynamic_bytes);
  void* dynamic() const { return arena_.get(); }
  // Null if the block would then hold more static memory than a GPU allows.
  void* array(const void* site, size_t bytes);

 private:
  struct Array {
    const void* site;
    size_t offset;
  };
  struct Free {
    void operator()(std::byte* pointer) const;
  };
  std::byte* hand_out(size_t bytes);

  std::unique_ptr<std::byte, Free> arena_;
  std::vector<Array> arrays_;
  size_t used_ = 0, static_bytes_ = 0, dynamic_bytes_ = 0;
};

}  // namespace tenon::simt
