#include "core/io/jpeg.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tenon;
  return fuzz::run([&] {
    io::ImageLimits limits;
    limits.max_pixels = 1 << 18;
    const io::Image image = io::decode_jpeg({data, size}, "f", limits);
    if (image.pixels.size() != static_cast<std::size_t>(image.width) *
                                   static_cast<std::size_t>(image.height) *
                                   static_cast<std::size_t>(image.channels))
      std::abort();
  });
}
