// Training stopped and continued is training that was never stopped, to the last bit.
#include "tests/e2e/program.h"
#include "tests/support/catch.h"

using namespace tenon;
using namespace tenon::test;

namespace {

void train(const TempDir& dir, const Words& words) {
  const Ended end = run(dir.path(), "tenon-train-qac", tiny(words));
  INFO(end.err);
  REQUIRE(end.code == 0);
}

}  // namespace

TEST_CASE("resume: 10 steps are 5 and 5 more, with evaluations in between") {
  const TempDir dir;
  const std::string whole = dir / "whole", parts = dir / "parts";
  const auto with = [&](Words words) {
    words.insert(words.end(), {"--sample-every", "3"});
    return words;
  };
  train(dir, with({"--steps", "10", "--run-dir", whole}));
  train(dir, with({"--steps", "5", "--run-dir", parts}));
  CHECK(different_file(checkpoint(whole, 10), checkpoint(parts, 5)) != "");
  train(dir, with({"--steps", "10", "--run-dir", parts, "--resume", "auto"}));
  CHECK(different_file(checkpoint(whole, 10), checkpoint(parts, 10)) == "");
}

TEST_CASE("resume: auto finds the newest run and a path takes an older checkpoint") {
  const TempDir dir;
  const std::string out = dir / "runs";
  train(dir, {"--steps", "8", "--out", out, "--save-every", "4"});
  const std::filesystem::path first = std::filesystem::directory_iterator(out)->path();
  // From an older checkpoint of a run that went on: a run of its own, the old one untouched.
  train(dir, {"--steps", "8", "--out", out, "--resume", checkpoint(first, 4).string()});
  int runs = 0;
  for (const auto& entry : std::filesystem::directory_iterator(out)) {
    ++runs;
    CHECK(different_file(checkpoint(first, 8), checkpoint(entry.path(), 8)) == "");
  }
  CHECK(runs == 2);
  // The newest one goes on.
  train(dir, {"--steps", "9", "--out", out, "--resume"});
  CHECK_FALSE(std::filesystem::exists(checkpoint(first, 9)));
}

TEST_CASE("resume: the number of workers may change") {
  const TempDir dir;
  const std::string a = dir / "a", b = dir / "b";
  train(dir, {"--steps", "6", "--run-dir", a});
  train(dir, {"--steps", "3", "--run-dir", b, "--workers", "1"});
  train(dir, {"--steps", "6", "--run-dir", b, "--workers", "3", "--resume"});
  CHECK(different_file(checkpoint(a, 6), checkpoint(b, 6)) == "");
}
