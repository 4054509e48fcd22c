// The commands that documents show are ones the programs know: every flag of every call.
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "tests/e2e/program.h"
#include "tests/support/catch.h"

using namespace tenon::test;
namespace fs = std::filesystem;

namespace {

struct Call {
  std::string program;
  std::set<std::string> flags;
};

// Calls of tenon-<x> in the lines of a text; a call ends at a backtick, a pipe or the line's end.
std::vector<Call> calls(const std::string& text) {
  static const std::regex program("tenon-[a-z]+(?:-[a-z]+)*"), flag("--[a-z][a-z0-9-]*");
  std::vector<Call> out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    for (std::sregex_iterator i(line.begin(), line.end(), program), end; i != end; ++i) {
      const auto from = static_cast<size_t>(i->position() + i->length());
      if (from < line.size() && line[from] != ' ') continue;
      const std::string rest = line.substr(from, line.find_first_of("`|#", from) - from);
      Call call{i->str(), {}};
      for (std::sregex_iterator f(rest.begin(), rest.end(), flag); f != end; ++f)
        call.flags.insert(f->str());
      if (!call.flags.empty()) out.push_back(call);
    }
  return out;
}

// The flags of a program, by its own help; --no-x counts as --x.
const std::set<std::string>& flags_of(const std::string& program) {
  static std::map<std::string, std::set<std::string>> known;
  if (const auto it = known.find(program); it != known.end()) return it->second;
  const TempDir folder;
  const Ended help = run(folder.path(), program, {"--help-all"});
  INFO(program << ": " << help.err);
  REQUIRE(help.code == 0);
  static const std::regex flag("--[a-z][a-z0-9-]*");
  for (std::sregex_iterator f(help.out.begin(), help.out.end(), flag), end; f != end; ++f)
    known[program].insert(f->str());
  return known[program];
}

bool knows(const std::string& program, std::string flag) {
  const std::set<std::string>& flags = flags_of(program);
  if (flags.count(flag)) return true;
  return flag.starts_with("--no-") && flags.count("--" + flag.substr(5)) != 0;
}

}  // namespace

TEST_CASE("flags shown in the documents exist") {
  CHECK(calls("a `tenon-sample --ckpt X --nfe=6` --z\nb tenon-samples").size() == 1);
  CHECK(knows("tenon-sample", "--ckpt"));
  CHECK(!knows("tenon-sample", "--checkpoint-of"));
  const fs::path root = TENON_SOURCE_DIR;
  std::vector<fs::path> pages = {root / "README.md", root / "CONTRIBUTING.md"};
  for (const char* folder : {"docs", "models"})
    for (const auto& entry : fs::recursive_directory_iterator(root / folder))
      if (entry.path().extension() == ".md") pages.push_back(entry.path());
  int checked = 0;
  for (const fs::path& page : pages)
    for (const Call& call : calls(read_file(page)))
      for (const std::string& flag : call.flags) {
        INFO(page.filename() << ": " << call.program << " " << flag);
        CHECK(knows(call.program, flag));
        ++checked;
      }
  CHECK(checked > 15);
}
