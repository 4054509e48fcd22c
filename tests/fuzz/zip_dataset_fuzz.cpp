#include "datasets/picture_store.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tenon;
  return fuzz::run([&] {
    data::PictureOptions options;
    options.fit.resolution = size % 2 ? 4 : 0;
    const data::SourcePtr source =
        data::make_edm_source(data::open_picture_store({data, size}, "f.zip"), options);
    const std::int64_t n = std::min<std::int64_t>(source->size(), 8);
    for (std::int64_t i = 0; i < n; ++i) source->read(i);
  });
}
