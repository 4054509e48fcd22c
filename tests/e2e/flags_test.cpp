// Flags that change how a training runs do what they say.
#include <sstream>

#include "core/io/json.h"
#include "tests/e2e/program.h"
#include "tests/support/catch.h"

#include <nlohmann/json.hpp>

using namespace tenon;
using namespace tenon::test;
namespace fs = std::filesystem;

namespace {

Ended train(const TempDir& dir, const fs::path& folder, Words words) {
  words.insert(words.end(), {"--run-dir", folder.string(), "--log-every", "1"});
  return run(dir.path(), "tenon-train-qac", tiny(words));
}

std::vector<nlohmann::json> metrics(const fs::path& run_folder, const std::string& kind) {
  std::istringstream in(read_file(run_folder / "metrics.jsonl"));
  std::vector<nlohmann::json> out;
  for (std::string line; std::getline(in, line);)
    if (auto json = nlohmann::json::parse(line); json.at("kind") == kind)
      out.push_back(std::move(json));
  return out;
}

}  // namespace

TEST_CASE("flag --recompute blocks trains the same weights") {
  const TempDir dir;
  const Ended plain = train(dir, dir / "a", {"--steps", "4"});
  const Ended again = train(dir, dir / "b", {"--steps", "4", "--recompute", "blocks"});
  INFO(plain.err << again.err);
  REQUIRE(plain.code == 0);
  REQUIRE(again.code == 0);
  CHECK(different_file(checkpoint(dir / "a", 4), checkpoint(dir / "b", 4)) == "");
}

TEST_CASE("flag --overfit-batch sees the same samples again and again, also after a resume") {
  const TempDir dir;
  const Words flags = {"--overfit-batch", "--dropout", "0"};
  const auto with = [&](const char* steps, const fs::path& folder) {
    Words words = flags;
    words.insert(words.end(), {"--steps", steps, "--resume"});
    const Ended end = train(dir, folder, words);
    INFO(end.err);
    REQUIRE(end.code == 0);
  };
  with("40", dir / "a");
  const auto lines = metrics(dir / "a", "train");
  REQUIRE(lines.size() == 40);
  const double first = lines.front().at("loss"), last = lines.back().at("loss");
  CHECK(last < 0.8 * first);
  with("20", dir / "b");
  with("40", dir / "b");
  CHECK(different_file(checkpoint(dir / "a", 40), checkpoint(dir / "b", 40)) == "");
}

TEST_CASE("flag --nan skip leaves out updates, but not for ever") {
  const TempDir dir;
  const Words flags = {"--lr", "1e30", "--nan", "skip", "--steps"};
  Words few = flags, many = flags;
  few.push_back("10");
  many.push_back("60");
  const Ended end = train(dir, dir / "few", few);
  INFO(end.err);
  CHECK(end.code == 0);
  CHECK(metrics(dir / "few", "warn").size() > 3);
  CHECK(train(dir, dir / "many", many).code == 8);
}

TEST_CASE("flag --deterministic gives the same bits with several threads") {
  const TempDir dir;
  for (const char* name : {"a", "b"}) {
    const Ended end = train(dir, dir / name, {"--steps", "4", "--deterministic", "--threads", "2"});
    INFO(end.err);
    REQUIRE(end.code == 0);
  }
  CHECK(different_file(checkpoint(dir / "a", 4), checkpoint(dir / "b", 4)) == "");
}

TEST_CASE("flag --precision bf16 trains every network") {
  const TempDir dir;
  for (const char* arch : {"ddpmpp", "ncsnpp"}) {
    const Ended end = train(dir, dir / arch,
                            {"--steps", "30", "--arch", arch, "--precision", "bf16",
                             "--sample-every", "30", "--overfit-batch", "--dropout", "0"});
    INFO(end.err);
    REQUIRE(end.code == 0);
    const auto lines = metrics(dir / arch, "train");
    CHECK(double(lines.back().at("loss")) < 0.9 * double(lines.front().at("loss")));
  }
}

TEST_CASE("flag --micro-batch may change on resume") {
  const TempDir dir;
  REQUIRE(train(dir, dir / "a", {"--steps", "3"}).code == 0);
  const Ended end = train(dir, dir / "a", {"--steps", "6", "--resume", "--micro-batch", "3"});
  INFO(end.err);
  CHECK(end.code == 0);
}
