// The rules of the tree, as functions from a folder to the list of what breaks them. They take any
// folder, so that the tests can show that each rule is able to fail.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace tenon::house {

using Paths = std::vector<std::filesystem::path>;
using Findings = std::vector<std::string>;  // "path: what is wrong", sorted; empty = fine

// Files of the tree relative to root, sorted; without version control, build and run folders.
Paths tree_files(const std::filesystem::path& root);

// The top level holds the fixed entries and dot files only.
Findings check_top_level(const std::filesystem::path& root);
// Includes point one way: core < cuda < autograd < ops < models < trainers < tools; see rules.cpp.
Findings check_includes(const std::filesystem::path& root);
// Every kernel cuda/ops/<family>/<op>.cu has its contract ops/<family>/<op>.h.
Findings check_kernel_pairs(const std::filesystem::path& root);
// Links in *.md lead to files and headings that exist; so does each "docs/x.md" in any source. The
// index docs/README.md, if there is one, names every page.
Findings check_links(const std::filesystem::path& root);
// Programs and scripts named in *.md exist.
Findings check_commands(const std::filesystem::path& root);
// No file names a path of somebody's machine.
Findings check_machine_paths(const std::filesystem::path& root);
// docs/dependencies.md says what tools/cmake/tested_versions.txt says.
Findings check_versions(const std::filesystem::path& root);

}  // namespace tenon::house
