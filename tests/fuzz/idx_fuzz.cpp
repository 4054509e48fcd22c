#include "datasets/idx.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tenon;
  return fuzz::run([&] {
    const data::IdxArray array = data::parse_idx({data, size}, "f");
    std::uint64_t count = 1;
    for (const std::int64_t s : array.sizes) count *= static_cast<std::uint64_t>(s);
    if (count != array.values.size()) std::abort();
  });
}
