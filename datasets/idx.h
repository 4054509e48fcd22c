// IDX files (MNIST, Fashion-MNIST), plain or gzipped.
//
// Format: bytes 0, 0, type (8 = u8), rank, then `rank` big-endian u32 sizes, then the values.
// http://yann.lecun.com/exdb/mnist (file formats).
#pragma once

#include "core/io/file.h"
#include "datasets/source.h"

namespace tenon::data {

struct IdxArray {
  std::vector<std::int64_t> sizes;
  std::vector<std::uint8_t> values;
};

// Parses a whole file's bytes, unpacking gzip. Only type u8 is accepted. Memory is taken only as
// far as the file really holds data.
IdxArray parse_idx(std::span<const std::uint8_t> bytes, const std::string& name);

// `path`: an images file (its labels file is found by name, and optional), or a folder that holds
// train-images-idx3-ubyte[.gz]; split "train" or "test" (t10k-...).
SourcePtr open_idx(const io::fs::path& path, const std::string& split = "train");

// Whether `path` is, or holds, what open_idx() reads.
bool looks_like_idx(const io::fs::path& path, const std::string& split = "train");

}  // namespace tenon::data
