// Stopping: asked by a signal, by a limit of time, or not asked at all.
#include <signal.h>

#include <cstdlib>
#include <random>
#include <thread>

#include "core/io/checkpoint_folder.h"
#include "tests/e2e/program.h"
#include "tests/support/catch.h"

using namespace tenon;
using namespace tenon::test;
namespace fs = std::filesystem;

namespace {

Words long_run(const fs::path& folder) {
  return tiny(
      {"--steps", "100k", "--run-dir", folder.string(), "--save-every", "5", "--log-every", "1"});
}

// Starts a training, sends the signal after its first checkpoint, and returns how it ended.
Ended interrupted(const TempDir& dir, const fs::path& folder, int signal) {
  Running training(dir.path(), "tenon-train-qac", long_run(folder));
  REQUIRE(training.wait_for_file(folder / "checkpoints" / "latest"));
  training.send(signal);
  return training.wait();
}

}  // namespace

TEST_CASE("stop: SIGTERM, SIGUSR1 and SIGHUP save and leave with 75") {
  for (const int signal : {SIGTERM, SIGUSR1, SIGHUP}) {
    const TempDir dir;
    const Ended end = interrupted(dir, dir / "run", signal);
    INFO(end.err);
    CHECK(end.code == 75);
    const auto found = io::find_checkpoint(dir / "run/checkpoints");
    REQUIRE(found);
    CHECK(lines_starting(end.err, fmt::format("step {:6}/", found->step)) == 1);
    CHECK(read_file(dir / "run/status.json").find("\"stopped\"") != std::string::npos);
    // And it goes on.
    const std::string steps = std::to_string(found->step + 2);
    const Ended more = run(dir.path(), "tenon-train-qac",
                           tiny({"--steps", steps, "--run-dir", dir / "run", "--resume", "auto"}));
    INFO(more.err);
    CHECK(more.code == 0);
  }
}

TEST_CASE("stop: SIGINT saves, then dies by SIGINT") {
  const TempDir dir;
  const Ended end = interrupted(dir, dir / "run", SIGINT);
  INFO(end.err);
  CHECK(end.signal == SIGINT);
  CHECK(io::find_checkpoint(dir / "run/checkpoints"));
}

TEST_CASE("stop: SIGUSR2 saves and goes on") {
  const TempDir dir;
  Running training(dir.path(), "tenon-train-qac",
                   tiny({"--steps", "100k", "--run-dir", dir / "run", "--save-every", "never"}));
  REQUIRE(training.wait_for_file(dir / "run/metrics.jsonl"));
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  training.send(SIGUSR2);
  REQUIRE(training.wait_for_file(dir / "run/checkpoints/latest"));
  const auto saved = io::find_checkpoint(dir / "run/checkpoints");
  training.send(SIGTERM);
  CHECK(training.wait().code == 75);
  const auto last = io::find_checkpoint(dir / "run/checkpoints");
  REQUIRE(saved);
  REQUIRE(last);
  CHECK(last->step >= saved->step);
}

TEST_CASE("stop: --max-time evaluates, saves and leaves with 75") {
  const TempDir dir;
  const Ended end = run(dir.path(), "tenon-train-qac",
                        tiny({"--steps", "100k", "--run-dir", dir / "run", "--max-time", "0.3s",
                              "--sample-every", "50k", "--sample-nfe", "2"}));
  INFO(end.err);
  CHECK(end.code == 75);
  CHECK(io::find_checkpoint(dir / "run/checkpoints"));
  CHECK_FALSE(fs::is_empty(dir / "run/samples"));
}

TEST_CASE("stop: tenon-sample writes no half-made images") {
  const TempDir dir;
  const Ended trained =
      run(dir.path(), "tenon-train-qac",
          tiny({"--steps", "2", "--run-dir", dir / "run", "--sample-every", "2"}));
  INFO(trained.err);
  REQUIRE(trained.code == 0);
  Running sampling(dir.path(), "tenon-sample",
                   {"--ckpt", dir / "run", "--seeds", "0-2000", "--nfe", "500", "--out",
                    dir / "images", "--threads", "1"});
  REQUIRE(sampling.wait_for_file(dir / "images"));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  sampling.send(SIGTERM);
  const Ended end = sampling.wait();
  INFO(end.err);
  CHECK(end.code == 75);
  CHECK(fs::is_empty(dir / "images"));
}

TEST_CASE("stop: kill -9 at random moments, while saving too, and every resume goes on bitwise") {
  const char* wanted = std::getenv("TENON_KILLS");
  const int kills = wanted ? std::atoi(wanted) : 8;
  constexpr int kStepsAKill = 4;
  const int steps = kStepsAKill * kills + 10;
  const TempDir dir;
  const fs::path whole = dir / "whole", killed = dir / "killed";
  const auto words = [&](const fs::path& folder) {
    // A checkpoint each step: at most moments, one is being written.
    return tiny({"--steps", std::to_string(steps), "--run-dir", folder.string(), "--save-every",
                 "1", "--keep", "2", "--resume", "auto"});
  };
  const Ended once = run(dir.path(), "tenon-train-qac", words(whole));
  INFO(once.err);
  REQUIRE(once.code == 0);

  std::mt19937 random(20240917);
  int done = 0, starts = 0;
  int64_t last = 0;
  while (done < kills) {
    REQUIRE(++starts <= 4 * kills);
    Running training(dir.path(), "tenon-train-qac", words(killed));
    // Some kills hit the start, most come after a few steps.
    const auto pause = std::uniform_int_distribution<int>(0, 160'000)(random);
    std::this_thread::sleep_for(std::chrono::microseconds(pause));
    training.send(SIGKILL);
    const Ended end = training.wait();
    INFO(end.err);
    if (end.code == 0) {
      // Faster than expected: it was at the end before the kills were; begin again.
      fs::remove_all(killed);
      last = 0;
      continue;
    }
    REQUIRE(end.signal == SIGKILL);
    ++done;
    const auto found = io::find_checkpoint(killed / "checkpoints");
    const int64_t step = found ? found->step : 0;
    CHECK(step >= last);  // never falls behind what was whole before
    last = step;
    if (found && step < steps) {
      // The whole run kept its last two only; of those the one of this step may be compared.
      const fs::path same = checkpoint(whole, static_cast<int>(step));
      if (fs::exists(same)) CHECK(different_file(same, found->path) == "");
    }
  }
  const Ended end = run(dir.path(), "tenon-train-qac", words(killed));
  INFO(end.err);
  REQUIRE(end.code == 0);
  CHECK(different_file(checkpoint(whole, steps), checkpoint(killed, steps)) == "");
  // Nothing is left of what the kills cut.
  for (const auto& entry : fs::directory_iterator(killed / "checkpoints"))
    CHECK(entry.path().filename().string().find("tmp") == std::string::npos);
  std::printf("%d kills in %d starts\n", done, starts);
}
