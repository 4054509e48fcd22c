// The rules of the tree hold, and each rule can fail: it is shown a small tree that breaks it.
#include <algorithm>
#include <string>

#include "tests/house/rules.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

using namespace tenon::house;
using tenon::test::TempDir;

namespace {

const std::filesystem::path kRoot = TENON_SOURCE_DIR;

void require_none(const Findings& findings) {
  std::string text;
  for (const auto& finding : findings) text += finding + "\n";
  INFO(text);
  REQUIRE(findings.empty());
}

// Exactly one finding, and it contains the text.
void require_one(const Findings& findings, const std::string& part) {
  std::string text;
  for (const auto& finding : findings) text += finding + "\n";
  INFO("findings: " << text);
  INFO("wanted: " << part);
  REQUIRE(findings.size() == 1);
  const bool found = findings[0].find(part) != std::string::npos;
  REQUIRE(found);
}

}  // namespace

TEST_CASE("the top level is the fixed one") {
  require_none(check_top_level(kRoot));
}
TEST_CASE("includes point one way") {
  require_none(check_includes(kRoot));
}
TEST_CASE("every kernel has its contract") {
  require_none(check_kernel_pairs(kRoot));
}
TEST_CASE("links lead somewhere") {
  require_none(check_links(kRoot));
}
TEST_CASE("commands in the documents exist") {
  require_none(check_commands(kRoot));
}
TEST_CASE("no machine paths") {
  require_none(check_machine_paths(kRoot));
}
TEST_CASE("the version table is the tested one") {
  require_none(check_versions(kRoot));
}

TEST_CASE("the rules see this tree at all") {
  const Paths files = tree_files(kRoot);
  REQUIRE(files.size() > 50);
  REQUIRE(std::find(files.begin(), files.end(), "core/base/error.h") != files.end());
}

TEST_CASE("an entry at the top level is refused") {
  TempDir tree;
  for (const char* name : {"CMakeLists.txt", "README.md", "LICENSE", "CONTRIBUTING.md",
                           "CHANGELOG.md", "CMakePresets.json"})
    tree.write(name, "");
  for (const char* name : {"core", "autograd", "ops", "cuda", "models", "trainers", "datasets",
                           "tools", "tests", "docs", "build", ".ci"})
    std::filesystem::create_directory(tree / name);
  require_none(check_top_level(tree.path()));
  tree.write("utils/x.h", "");
  require_one(check_top_level(tree.path()), "utils: not allowed");
  std::filesystem::remove_all(tree / "utils");
  std::filesystem::remove(tree / "LICENSE");
  require_one(check_top_level(tree.path()), "LICENSE: missing");
}

TEST_CASE("an include against the order is refused") {
  // From, to, allowed.
  struct Row {
    const char *from, *to;
    bool allowed;
  };
  const Row rows[] = {
      {"core/tensor/a.h", "core/base/error.h", true},
      {"core/base/a.h", "core/tensor/tensor.h", false},
      {"core/io/a.cpp", "core/config/config.h", false},
      {"core/tensor/a.cpp", "ops/x.h", false},
      {"autograd/a.cpp", "ops/x.h", false},
      {"autograd/a.cpp", "cuda/kit/x.h", false},
      {"ops/norm/a.cpp", "autograd/node.h", true},
      {"ops/norm/a.h", "cuda/ops/norm/x.h", false},
      {"ops/norm/a.h", "models/nn/x.h", false},
      {"cuda/ops/norm/a.cu", "ops/norm/a.h", true},
      {"cuda/kit/a.h", "ops/norm/a.h", false},
      {"datasets/a.cpp", "core/tensor/tensor.h", true},
      {"datasets/a.cpp", "ops/x.h", false},
      {"models/qac/a.cpp", "models/nn/module.h", true},
      {"models/nn/a.cpp", "models/qac/unet.h", false},
      {"models/qac/a.cpp", "cuda/runtime/x.h", false},
      {"trainers/qac/a.cpp", "trainers/loop/loop.h", true},
      {"trainers/qac/a.cpp", "trainers/run/folder.h", true},
      {"trainers/run/a.cpp", "trainers/loop/loop.h", false},
      {"trainers/qac/a.cpp", "trainers/lm/task.h", false},
      {"trainers/loop/a.cpp", "models/qac/unet.h", false},
      {"trainers/loop/a.cpp", "models/nn/adam.h", true},
      {"trainers/qac/a.cpp", "tools/x.h", false},
      {"tools/a.cpp", "trainers/loop/loop.h", true},
      {"core/base/a.cpp", "tests/support/catch.h", false},
  };
  for (const Row& row : rows) {
    TempDir tree;
    tree.write(row.to, "");
    tree.write(row.from, "#include <vector>\n#include \"" + std::string(row.to) + "\"\n");
    INFO(row.from << " includes " << row.to);
    if (row.allowed)
      require_none(check_includes(tree.path()));
    else
      require_one(check_includes(tree.path()), std::string(row.from) + ":2: includes " + row.to);
  }
  TempDir tree;
  tree.write("core/base/a.h", "#include \"core/base/gone.h\"\n");
  require_one(check_includes(tree.path()), "not there");
}

TEST_CASE("a kernel without a contract is refused") {
  TempDir tree;
  tree.write("cuda/ops/norm/rms_norm.cu", "");
  require_one(check_kernel_pairs(tree.path()), "no contract ops/norm/rms_norm.h");
  tree.write("ops/norm/rms_norm.h", "");
  require_none(check_kernel_pairs(tree.path()));
}

TEST_CASE("a broken link is refused") {
  TempDir tree;
  tree.write("docs/a.md",
             "# Add an op: how?\n[ok](a.md) [web](https://x.y) [head](#add-an-op-how)\n");
  require_none(check_links(tree.path()));
  tree.write("docs/b.md", "[gone](c.md)\n");
  require_one(check_links(tree.path()), "docs/b.md:1: link to c.md");
  tree.write("docs/b.md", "[gone](a.md#nowhere)\n");
  require_one(check_links(tree.path()), "no such heading");
  tree.write("docs/b.md", "");
  tree.write("ops/x.h", "\n// docs/gone.md says how\n");
  require_one(check_links(tree.path()), "ops/x.h:2: names docs/gone.md");
  tree.write("ops/x.h", "");
  tree.write("docs/README.md", "[a](a.md)\n");
  require_one(check_links(tree.path()), "docs/b.md: not in the index");
}

TEST_CASE("a command that does not exist is refused") {
  TempDir tree;
  tree.write("trainers/qac/train_qac_main.cpp", "");
  tree.write("tools/check", "");
  tree.write("README.md", "`build/release/bin/tenon-train-qac --preset x` and `tools/check`\n");
  require_none(check_commands(tree.path()));
  tree.write("README.md", "run `tenon-trian-qac`\n");
  require_one(check_commands(tree.path()), "no program tenon-trian-qac");
  tree.write("README.md", "run `tools/chekc` first\n");
  require_one(check_commands(tree.path()), "no tools/chekc");
}

TEST_CASE("a machine path is refused") {
  TempDir tree;
  tree.write("core/base/a.cpp",
             "#!/usr/bin/env bash\nconst char* p = \"/usr/share/x\"; a = b/work/c;\n");
  require_none(check_machine_paths(tree.path()));
  tree.write("core/base/a.cpp", "\nopen(\"/home/me/data\")\n");
  require_one(check_machine_paths(tree.path()),
              "core/base/a.cpp:2: names the machine path /home/me");
}

TEST_CASE("a version that the page does not show is refused") {
  TempDir tree;
  tree.write("tools/cmake/tested_versions.txt", "# head\nfmt | 9.1 | 9.1 | required\n");
  tree.write("docs/dependencies.md", "| fmt | 9.1 | 9.1 | required | formatting |\n");
  require_none(check_versions(tree.path()));
  tree.write("docs/dependencies.md", "| fmt | 10.0 | 9.1 | required | formatting |\n");
  require_one(check_versions(tree.path()), "fmt | 9.1");
}
