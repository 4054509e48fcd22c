// CIFAR-10 and CIFAR-100 binary files: records of 1 (10) or 2 (100: coarse, fine) label bytes and
// 3072 bytes, planes R, G, B of 32x32. https://www.cs.toronto.edu/~kriz/cifar.html
#pragma once

#include "core/io/file.h"
#include "datasets/source.h"

namespace tenon::data {

enum class CifarKind { Cifar10, Cifar100 };

// Checks one file's bytes: whole records, labels below 10 (or 20 and 100). Returns their number.
std::int64_t check_cifar(std::span<const std::uint8_t> bytes, CifarKind cifar,
                         const std::string& name);

// `path`: one .bin file with any number of records, or a folder: data_batch_*.bin (split "train"),
// test_batch.bin ("test"), or train.bin / test.bin (CIFAR-100). Of CIFAR-100's labels the fine one
// is used. The kind of a single file follows from its size and labels.
SourcePtr open_cifar(const io::fs::path& path, const std::string& split = "train");

bool looks_like_cifar(const io::fs::path& path, const std::string& split = "train");

}  // namespace tenon::data
