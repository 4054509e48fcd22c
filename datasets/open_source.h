// Opens any data set by its path: the one entry for programs.
#pragma once

#include "core/io/file.h"
#include "datasets/transforms.h"

namespace tenon::data {

struct SourceOptions {
  std::string format = "auto";  // auto idx cifar edm folder generated
  std::string split = "train";  // train or test, where a folder holds both
  FitOptions fit;               // resolution and channels to bring every picture to
  std::int64_t max_size = 0;    // 0 = all; else a random subset of that size, chosen by `seed`
  std::uint64_t seed = 0;
  bool mirror = false;      // doubles the set by mirrored pictures (EDM's xflip)
  bool use_labels = true;   // EDM data sets and class folders
  bool strict_size = true;  // square, power of two (EDM data sets without a resolution)
};

// `spec`: a file or folder; "generated:N[:SEED]" (random pictures, of fit.resolution or 32, and
// fit.channels or 3); or the name of a packaged data set ("fashion-mnist").
SourcePtr open_source(const std::string& spec, const SourceOptions& options = {});

// "idx", "cifar", "edm", "folder" or "generated"; a Data error that lists what is understood
// otherwise.
std::string detect_format(const std::string& spec, const std::string& split = "train");

}  // namespace tenon::data
