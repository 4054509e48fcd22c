#include "core/io/png.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tenon;
  return fuzz::run([&] {
    io::ImageLimits limits;
    limits.max_pixels = 1 << 20;
    const io::Image image = io::decode_png({data, size}, "f", limits);
    if (io::decode_png(io::encode_png(image, {1, {}}), "again").pixels != image.pixels)
      std::abort();
  });
}
