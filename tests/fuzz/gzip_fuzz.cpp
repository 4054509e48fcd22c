#include "core/io/gzip.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tenon;
  return fuzz::run([&] {
    const io::ByteBuffer out = io::gunzip({data, size}, "f", 1 << 20);
    if (io::gunzip(io::gzip(out, 1), "again", 1 << 20) != out) std::abort();
  });
}
