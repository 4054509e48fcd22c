// What the programs print when asked about themselves, and what drawing samples promises.
#include "core/io/file.h"
#include "core/io/png.h"
#include "tests/e2e/program.h"
#include "tests/support/catch.h"

using namespace tenon;
using namespace tenon::test;
namespace fs = std::filesystem;

TEST_CASE("programs: information goes to stdout and ends with 0") {
  const TempDir dir;
  for (const char* program : {"tenon-train-qac", "tenon-sample"})
    for (const char* flag : {"--help", "--help-all", "--version", "--print-config"}) {
      INFO(program << ' ' << flag);
      const Ended end = run(dir.path(), program, {flag});
      if (std::string(program) == "tenon-sample" && std::string(flag) == "--print-config") continue;
      CHECK(end.code == 0);
      CHECK(end.out.size() > 20);
      CHECK(end.err == "");
    }
  const Ended presets = run(dir.path(), "tenon-train-qac", {"--list-presets"});
  CHECK(presets.code == 0);
  CHECK(presets.out.find("fashion-tiny") != std::string::npos);
}

TEST_CASE("flag --print-config is a configuration") {
  const TempDir dir;
  const Ended first = run(dir.path(), "tenon-train-qac", tiny({"--steps", "3", "--print-config"}));
  REQUIRE(first.code == 0);
  const fs::path file = dir.write("my.json", first.out);
  const Ended again =
      run(dir.path(), "tenon-train-qac", {"--config", file.string(), "--print-config"});
  INFO(again.err);
  CHECK(again.code == 0);
  const Ended trained = run(dir.path(), "tenon-train-qac",
                            {"--config", file.string(), "--threads", "1", "--run-dir", dir / "a"});
  INFO(trained.err);
  CHECK(trained.code == 0);
  const Ended typed =
      run(dir.path(), "tenon-train-qac", tiny({"--steps", "3", "--run-dir", dir / "b"}));
  CHECK(typed.code == 0);
  CHECK(different_file(checkpoint(dir / "a", 3), checkpoint(dir / "b", 3)) == "");
}

TEST_CASE("flag --dry-run makes a step and no folder") {
  const TempDir dir;
  const Ended end = run(dir.path(), "tenon-train-qac",
                        tiny({"--steps", "3", "--run-dir", dir / "run", "--dry-run"}));
  INFO(end.err);
  CHECK(end.code == 0);
  CHECK(end.out.find("first loss") != std::string::npos);
  CHECK_FALSE(fs::exists(dir / "run"));
}

TEST_CASE("flag --print-model prints names and shapes") {
  const TempDir dir;
  const Ended end = run(dir.path(), "tenon-train-qac",
                        tiny({"--steps", "3", "--run-dir", dir / "run", "--print-model"}));
  INFO(end.err);
  CHECK(end.code == 0);
  CHECK(end.out.find("model.enc.8x8_conv.weight ") != std::string::npos);
  CHECK(end.out.find("[8, 3, 3, 3]") != std::string::npos);
  CHECK_FALSE(fs::exists(dir / "run"));
}

TEST_CASE(
    "programs: a training leaves results on stdout and a folder that samples are drawn from") {
  const TempDir dir;
  const Ended trained =
      run(dir.path(), "tenon-train-qac",
          tiny({"--steps", "4", "--run-dir", dir / "run", "--sample-every", "2", "--report"}));
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  CHECK(trained.out == (dir / "run").string() + "\n");
  for (const char* name : {"config.json", "command.txt", "env.json", "status.json", "log.txt",
                           "metrics.jsonl", "report.html", "samples/step-00000004.png"})
    CHECK(fs::exists(dir / "run" / name));

  const auto draw = [&](const std::string& seeds, const std::string& batch, const char* to) {
    const Ended end = run(dir.path(), "tenon-sample",
                          {"--ckpt", dir / "run", "--seeds", seeds, "--batch", batch, "--nfe", "3",
                           "--no-grid-only", "--threads", "1", "--out", dir / to});
    INFO(end.err);
    REQUIRE(end.code == 0);
    CHECK(end.out.find("samples.png") != std::string::npos);
  };
  draw("0-5", "6", "all");
  draw("0-3", "3", "first");
  draw("4-5", "2", "rest");
  for (int i = 0; i < 6; ++i) {
    const std::string name = fmt::format("{:06}.png", i);
    const auto pixels = [&](const char* folder) {
      return io::decode_png(io::read_file(dir / folder / name), name).pixels;
    };
    INFO(name);
    CHECK(pixels("all") == pixels(i < 4 ? "first" : "rest"));
  }
}
