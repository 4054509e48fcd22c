#include "core/io/safetensors.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tenon;
  return fuzz::run([&] {
    io::Metadata metadata;
    std::uint64_t total = 0;
    for (const auto& [name, entry] :
         io::parse_safetensors({data, size}, "f", ErrorKind::Checkpoint, &metadata)) {
      total += entry.data.size();
      // Every byte that the parser hands out can be read.
      if (!entry.data.empty() && entry.data.front() + entry.data.back() > 510) std::abort();
    }
    if (total > size) std::abort();
  });
}
