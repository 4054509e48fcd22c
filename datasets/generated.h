// Random pictures for benchmarks and tests: no file needed.
#pragma once

#include "datasets/source.h"

namespace tenon::data {

struct GeneratedOptions {
  std::int64_t size = 512;
  std::uint64_t seed = 0;
  int channels = 3, resolution = 32;
  std::int64_t classes = 10;
};

// Sample i is a pure function of (seed, i): uniform bytes, label uniform in [0, classes).
SourcePtr make_generated(const GeneratedOptions& options);

}  // namespace tenon::data
