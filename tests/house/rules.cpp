#include "tests/house/rules.h"

#include <algorithm>
#include <cctype>
#include <fstream>
#include <iterator>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <string_view>

namespace tenon::house {
namespace {

namespace fs = std::filesystem;

std::string read(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

bool starts_with_path(const std::string& path, std::string_view folder) {
  return path == folder || (path.size() > folder.size() && path[folder.size()] == '/' &&
                            path.compare(0, folder.size(), folder) == 0);
}

bool is_text(const fs::path& path) {
  static const std::set<std::string> text = {".h",    ".cpp", ".cu",  ".inc",  ".md",
                                             ".txt",  ".sh",  ".py",  "",      ".cmake",
                                             ".json", ".in",  ".yml", ".html", ".css"};
  return text.count(path.extension().string()) != 0;
}

bool is_source(const fs::path& path) {
  const std::string e = path.extension().string();
  return e == ".h" || e == ".cpp" || e == ".cu" || e == ".inc" || e == ".cuh";
}

// All matches of the expression's first group, with their line numbers.
template <class Use>
void each_match(const std::string& text, const std::regex& expression, Use use) {
  std::istringstream lines(text);
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    for (std::sregex_iterator i(line.begin(), line.end(), expression), end; i != end; ++i)
      use((*i)[1].str(), number);
  }
}

// A layer is a folder and the folders whose headers it may include besides its own. The longest
// matching folder decides. core is a chain of its own: each part sees the parts before it.
struct Layer {
  const char* folder;
  std::vector<const char*> may_include;
};

const std::vector<Layer>& layers() {
  static const std::vector<Layer> all = {
      {"core/base", {}},
      {"core/dtype", {"core/base"}},
      {"core/device", {"core/base", "core/dtype"}},
      {"core/memory", {"core/base", "core/dtype", "core/device"}},
      {"core/simd", {"core/base", "core/dtype", "core/device", "core/memory"}},
      {"core/tensor", {"core/base", "core/dtype", "core/device", "core/memory", "core/simd"}},
      {"core/io",
       {"core/base", "core/dtype", "core/device", "core/memory", "core/simd", "core/tensor"}},
      {"core/config",
       {"core/base", "core/dtype", "core/device", "core/memory", "core/simd", "core/tensor",
        "core/io"}},
      {"core/distributed",
       {"core/base", "core/dtype", "core/device", "core/memory", "core/simd", "core/tensor",
        "core/io", "core/config"}},
      {"cuda", {"core"}},
      {"autograd", {"core"}},
      {"ops", {"core", "autograd"}},
      {"cuda/ops", {"core", "cuda", "autograd", "ops"}},
      {"datasets", {"core"}},
      {"models/nn", {"core", "autograd", "ops"}},
      {"models", {"core", "autograd", "ops", "models/nn"}},
      {"trainers/run", {"core"}},
      {"trainers/loop", {"core", "autograd", "ops", "models/nn", "datasets", "trainers/run"}},
      {"trainers/parallel",
       {"core", "autograd", "ops", "models/nn", "datasets", "trainers/run", "trainers/loop"}},
      {"trainers",
       {"core", "autograd", "ops", "models", "datasets", "trainers/run", "trainers/loop",
        "trainers/parallel"}},
      {"tools", {"core", "cuda", "autograd", "ops", "models", "datasets", "trainers"}},
      {"tests", {"core", "cuda", "autograd", "ops", "models", "datasets", "trainers", "tools"}},
  };
  return all;
}

const Layer* layer_of(const std::string& path) {
  const Layer* best = nullptr;
  for (const Layer& layer : layers())
    if (starts_with_path(path, layer.folder) &&
        (!best || std::string_view(layer.folder).size() > std::string_view(best->folder).size()))
      best = &layer;
  return best;
}

// Why `from` may not include `to`, or nothing.
std::optional<std::string> refuse(const std::string& from, const std::string& to) {
  const Layer* layer = layer_of(from);
  const Layer* target = layer_of(to);
  if (!target) return std::nullopt;  // not one of ours: a system or generated header
  if (!layer) return "is in no folder of the house";
  if (target == layer) {
    // Tasks do not know each other: trainers/<a> sees the loop, never trainers/<b>.
    const auto task = [](const std::string& path) { return path.substr(0, path.find('/', 9)); };
    if (std::string_view(layer->folder) == "trainers" && task(from) != task(to))
      return "tasks do not include each other";
    return std::nullopt;
  }
  for (const char* folder : layer->may_include)
    if (starts_with_path(to, folder)) return std::nullopt;
  return std::string(layer->folder) + " does not depend on " + target->folder;
}

// The anchor of a heading, as the usual renderers make it.
std::string anchor_of(const std::string& heading) {
  std::string out;
  for (const char c : heading) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) || c == '_' || c == '-') out += static_cast<char>(std::tolower(u));
    if (c == ' ') out += '-';
  }
  return out;
}

bool has_heading(const std::string& text, const std::string& anchor) {
  static const std::regex heading("^#+ +(.*?) *$");
  bool found = false;
  each_match(text, heading, [&](const std::string& h, int) { found |= anchor_of(h) == anchor; });
  return found;
}

std::string at(const fs::path& file, int line) {
  return file.generic_string() + ":" + std::to_string(line) + ": ";
}

}  // namespace

Paths tree_files(const fs::path& root) {
  static const std::set<std::string> skipped = {".git", "out", "runs", ".cache", "__pycache__"};
  Paths files;
  for (auto i = fs::recursive_directory_iterator(root); i != fs::recursive_directory_iterator();
       ++i) {
    const std::string name = i->path().filename().string();
    if (i->is_directory() &&
        (skipped.count(name) || (i.depth() == 0 && name.rfind("build", 0) == 0)))
      i.disable_recursion_pending();
    else if (i->is_regular_file())
      files.push_back(i->path().lexically_relative(root));
  }
  std::sort(files.begin(), files.end());
  return files;
}

Findings check_top_level(const fs::path& root) {
  static const std::set<std::string> allowed = {"CMakeLists.txt", "core",
                                                "autograd",       "ops",
                                                "cuda",           "models",
                                                "trainers",       "datasets",
                                                "tools",          "tests",
                                                "docs",           "README.md",
                                                "LICENSE",        "CONTRIBUTING.md",
                                                "CHANGELOG.md",   "CMakePresets.json"};
  Findings out;
  std::set<std::string> there;
  for (const auto& entry : fs::directory_iterator(root)) {
    const std::string name = entry.path().filename().string();
    there.insert(name);
    const bool ignored = name[0] == '.' || name.rfind("build", 0) == 0 || name == "runs" ||
                         name == "out" || name == "compile_commands.json";
    if (!ignored && !allowed.count(name)) out.push_back(name + ": not allowed at the top level");
  }
  for (const auto& name : allowed)
    if (!there.count(name)) out.push_back(name + ": missing at the top level");
  std::sort(out.begin(), out.end());
  return out;
}

Findings check_includes(const fs::path& root) {
  static const std::regex include("^ *# *include *\"([^\"]+)\"");
  Findings out;
  for (const auto& file : tree_files(root)) {
    if (!is_source(file)) continue;
    each_match(read(root / file), include, [&](const std::string& header, int line) {
      if (const auto why = refuse(file.generic_string(), header))
        out.push_back(at(file, line) + "includes " + header + ": " + *why);
      else if (layer_of(header) && !fs::exists(root / header))
        out.push_back(at(file, line) + "includes " + header + ", which is not there");
    });
  }
  return out;
}

Findings check_kernel_pairs(const fs::path& root) {
  Findings out;
  for (const auto& file : tree_files(root)) {
    const std::string path = file.generic_string();
    if (file.extension() != ".cu" || !starts_with_path(path, "cuda/ops")) continue;
    const fs::path contract = fs::path(path.substr(5)).replace_extension(".h");
    if (!fs::exists(root / contract))
      out.push_back(path + ": no contract " + contract.generic_string());
  }
  return out;
}

Findings check_links(const fs::path& root) {
  static const std::regex link(R"(\]\(([^)\s]+)\))");
  static const std::regex page(R"((docs/[A-Za-z0-9_/-]+\.md))");
  static const std::regex remote("^[a-z]+:");
  Findings out;
  const std::string index = read(root / "docs/README.md");
  for (const auto& file : tree_files(root)) {
    if (!is_text(file)) continue;
    const std::string text = read(root / file);
    if (!index.empty() && file.parent_path() == "docs" && file.filename() != "README.md" &&
        index.find("](" + file.filename().string() + ")") == std::string::npos)
      out.push_back(file.generic_string() + ": not in the index docs/README.md");
    if (file.extension() == ".md")
      each_match(text, link, [&](const std::string& target, int line) {
        if (std::regex_search(target, remote)) return;
        const auto hash = target.find('#');
        const std::string name = target.substr(0, hash);
        const fs::path to = name.empty() ? root / file : root / file.parent_path() / name;
        if (!fs::exists(to))
          out.push_back(at(file, line) + "link to " + target + ", which is not there");
        else if (hash != std::string::npos && !has_heading(read(to), target.substr(hash + 1)))
          out.push_back(at(file, line) + "link to " + target + ": no such heading");
      });
    if (file.generic_string().rfind("tests/house/", 0) == 0) continue;
    each_match(text, page, [&](const std::string& target, int line) {
      if (!fs::exists(root / target) && !fs::exists(root / file.parent_path() / target))
        out.push_back(at(file, line) + "names " + target + ", which is not there");
    });
  }
  return out;
}

Findings check_commands(const fs::path& root) {
  // Programs: tenon-<x> from <x>_main.cpp. Scripts: tools/<x>.
  std::set<std::string> programs;
  const Paths files = tree_files(root);
  for (const auto& file : files) {
    std::string stem = file.stem().string();
    if (file.extension() != ".cpp" || stem.size() < 6 || stem.substr(stem.size() - 5) != "_main")
      continue;
    stem = "tenon-" + stem.substr(0, stem.size() - 5);
    std::replace(stem.begin(), stem.end(), '_', '-');
    programs.insert(stem);
  }
  static const std::regex program(R"((?:^|[\s`/(])(tenon-[a-z0-9-]*[a-z0-9])(?=$|[\s`).,:;]))");
  static const std::regex script(R"((?:^|[\s`(])(tools/[A-Za-z0-9_/.-]*[A-Za-z0-9_]))");
  Findings out;
  for (const auto& file : files) {
    if (file.extension() != ".md") continue;
    const std::string text = read(root / file);
    each_match(text, program, [&](const std::string& name, int line) {
      if (!programs.count(name)) out.push_back(at(file, line) + "there is no program " + name);
    });
    each_match(text, script, [&](const std::string& name, int line) {
      if (!fs::exists(root / name)) out.push_back(at(file, line) + "there is no " + name);
    });
  }
  return out;
}

Findings check_machine_paths(const fs::path& root) {
  static const std::regex path(
      R"((?:^|[^A-Za-z0-9_./}>-])(/(?:home|root|work|mnt|Users|tmp|usr/local|opt)/[^\s"')]*))");
  Findings out;
  for (const auto& file : tree_files(root)) {
    // This folder's own tests must name what they look for.
    if (!is_text(file) || file.generic_string().rfind("tests/house/", 0) == 0) continue;
    each_match(read(root / file), path, [&](const std::string& found, int line) {
      out.push_back(at(file, line) + "names the machine path " + found);
    });
  }
  return out;
}

Findings check_versions(const fs::path& root) {
  const std::string page = read(root / "docs/dependencies.md");
  Findings out;
  std::istringstream lines(read(root / "tools/cmake/tested_versions.txt"));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (page.find("| " + line + " |") == std::string::npos)
      out.push_back("docs/dependencies.md: no row for: " + line);
  }
  return out;
}

}  // namespace tenon::house
