// Runs a libFuzzer target without libFuzzer: every file of the corpus, then mutations of them from
// a fixed seed. It finds no new paths on purpose, but keeps the targets alive under every compiler.
//
//   fuzz_x [--seconds N] [FILE|FOLDER]...
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// One to four small damages: a bit, a byte, an extreme 32-bit number, a cut, a repeated piece.
Bytes mutate(Bytes bytes, const Bytes& other, std::mt19937& random) {
  const auto below = [&](std::size_t n) { return n ? random() % n : 0; };
  for (std::size_t i = 0, n = 1 + below(4); i < n; ++i) {
    if (bytes.empty()) bytes.push_back(static_cast<std::uint8_t>(random()));
    const std::size_t at = below(bytes.size());
    switch (below(6)) {
      case 0:
        bytes[at] ^= static_cast<std::uint8_t>(1u << below(8));
        break;
      case 1:
        bytes[at] = static_cast<std::uint8_t>(random());
        break;
      case 2: {
        static constexpr std::uint32_t extremes[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffff};
        const std::uint32_t value = extremes[below(5)];
        std::memcpy(&bytes[at], &value, std::min(sizeof value, bytes.size() - at));
        break;
      }
      case 3:
        bytes.resize(at);
        break;
      case 4: {
        const Bytes piece(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                          bytes.begin() + static_cast<std::ptrdiff_t>(
                                              std::min(bytes.size(), at + 1 + below(32))));
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(below(bytes.size())),
                     piece.begin(), piece.end());
        break;
      }
      default:
        if (!other.empty()) bytes[at] = other[below(other.size())];
    }
  }
  return bytes;
}

}  // namespace

int main(int argc, char** argv) {
  double seconds = 2;
  std::vector<Bytes> corpus;
  for (int i = 1; i < argc; ++i) {
    if (!std::strcmp(argv[i], "--seconds") && i + 1 < argc) {
      seconds = std::atof(argv[++i]);
      continue;
    }
    const std::filesystem::path path = argv[i];
    if (std::filesystem::is_directory(path)) {
      std::vector<std::filesystem::path> files;
      for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
        if (entry.is_regular_file()) files.push_back(entry.path());
      std::sort(files.begin(), files.end());
      for (const auto& file : files) corpus.push_back(read(file));
    } else if (std::filesystem::exists(path)) {
      corpus.push_back(read(path));
    }
  }
  for (const Bytes& bytes : corpus) LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  const std::size_t seeds = corpus.size();
  if (corpus.empty()) corpus.emplace_back();

  std::mt19937 random(1);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  std::size_t runs = 0;
  for (; std::chrono::steady_clock::now() < end; ++runs) {
    const Bytes bytes =
        mutate(corpus[random() % corpus.size()], corpus[random() % corpus.size()], random);
    // A crash leaves its input here.
    if (const char* keep = std::getenv("TENON_FUZZ_KEEP"))
      std::ofstream(keep, std::ios::binary)
          .write(reinterpret_cast<const char*>(bytes.data()),
                 static_cast<std::streamsize>(bytes.size()));
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%zu files of the corpus, %zu mutations\n", seeds, runs);
}
