// What docs/add-an-op.md shows and promises is what the tree holds.
#include <algorithm>
#include <filesystem>
#include <string>

#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using tenon::test::read_file;

namespace {

const std::filesystem::path kRoot = TENON_SOURCE_DIR;

// The first block of C++ of a page.
std::string code_block(const std::string& page) {
  const std::string open = "```cpp\n", close = "```";
  const size_t begin = page.find(open);
  if (begin == std::string::npos) return "";
  const size_t end = page.find(close, begin + open.size());
  return page.substr(begin + open.size(), end - begin - open.size());
}

}  // namespace

TEST_CASE("the guide shows the pointwise op as it is") {
  CHECK(code_block("a\n```cpp\nint x;\n```\nb") == "int x;\n");
  const std::string shown = code_block(read_file(kRoot / "docs/add-an-op.md"));
  CHECK(shown == read_file(kRoot / "ops/pointwise/fn/silu.h"));
}

TEST_CASE("a pointwise op is one header of at most 40 lines that callers find in ops.h") {
  const std::string list = read_file(kRoot / "ops/ops.h");
  int headers = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kRoot / "ops/pointwise/fn")) {
    const std::string name = entry.path().filename().string(), text = read_file(entry.path());
    INFO(name);
    CHECK(std::count(text.begin(), text.end(), '\n') <= 40);
    const bool listed = list.find("\"ops/pointwise/fn/" + name + "\"") != std::string::npos;
    CHECK(listed);
    ++headers;
  }
  CHECK(headers > 20);
}
