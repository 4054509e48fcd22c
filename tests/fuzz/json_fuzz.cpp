#include <nlohmann/json.hpp>

#include "core/io/json.h"
#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace tenon;
  return fuzz::run([&] {
    const io::Json json = io::parse_json(io::as_text({data, size}), "f");
    // What was accepted is written and read back the same.
    if (io::parse_json(io::json_text(json), "again") != json) std::abort();
  });
}
