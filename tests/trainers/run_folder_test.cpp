#include <sys/wait.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "core/config/command_line.h"
#include "core/io/checkpoint_folder.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"
#include "trainers/run/common.h"
#include "trainers/run/folder.h"
#include "trainers/run/resume.h"

using namespace tenon;
using namespace tenon::run;
namespace fs = std::filesystem;

namespace {

void save_checkpoint(const fs::path& run, std::int64_t step) {
  io::CheckpointWriter writer(run / "checkpoints", step);
  writer.write("model.safetensors", "weights " + std::to_string(step));
  writer.commit();
}

// A finished run with checkpoints.
fs::path make_run(const fs::path& out, const std::string& name, std::vector<std::int64_t> steps,
                  const std::string& config = "{}") {
  const RunFolder run = RunFolder::create(out, name);
  run.write_config(config);
  for (auto step : steps) save_checkpoint(run.path(), step);
  return run.path();
}

}  // namespace

TEST_CASE("run folder: numbers rise and are never used twice") {
  test::TempDir dir;
  const fs::path out = dir / "runs";
  CHECK(RunFolder::create(out, "qac-a").name() == "0001-qac-a");
  CHECK(RunFolder::create(out, "qac-a").name() == "0002-qac-a");
  fs::create_directories(out / "0041-other");
  fs::create_directories(out / "99-not-a-run");
  CHECK(RunFolder::create(out, "b").name() == "0042-b");
  fs::remove_all(out / "0002-qac-a");
  CHECK(RunFolder::create(out, "c").name() == "0043-c");
  CHECK(run_number("0007-x") == 7);
  CHECK(run_number("12345-x") == 12345);
  for (const char* bad : {"7-x", "0007", "000a-x", "-x", ""}) CHECK_FALSE(run_number(bad));
}

TEST_CASE("run folder: many at once get different numbers") {
  test::TempDir dir;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      for (int i = 0; i < 5; ++i) RunFolder::create(dir / "runs", "t" + std::to_string(t));
    });
  for (auto& t : threads) t.join();
  std::set<int> numbers;
  for (const auto& run : list_runs(dir / "runs"))
    numbers.insert(*run_number(run.filename().string()));
  CHECK(numbers.size() == 40);
}

TEST_CASE("run folder: the lock keeps a second trainer out and dies with its owner") {
  test::TempDir dir;
  {
    const RunFolder run = RunFolder::open(dir / "r");
    CHECK(owner_of(dir / "r") == fmt::format("pid {} on {}", getpid(), host_name()));
    REQUIRE_ERROR(RunFolder::open(dir / "r"), ErrorKind::Usage, "is being trained by pid");
  }
  CHECK(owner_of(dir / "r").empty());
  // A process that is killed leaves its lock file, which then holds nobody.
  const pid_t child = fork();
  if (child == 0) {
    const RunFolder run = RunFolder::open(dir / "r");
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(fs::exists(dir / "r/lock"));
  CHECK(owner_of(dir / "r").empty());
  RunFolder::open(dir / "r");
  // A lock of another host counts while it is fresh.
  dir.write("r/lock", "elsewhere 12\n");
  CHECK(owner_of(dir / "r") == "pid 12 on elsewhere");
  REQUIRE_ERROR(RunFolder::open(dir / "r"), ErrorKind::Usage, "pid 12 on elsewhere");
  fs::last_write_time(dir / "r/lock", fs::file_time_type::clock::now() - std::chrono::hours(1));
  RunFolder::open(dir / "r");
}

TEST_CASE("run folder: files") {
  test::TempDir dir;
  const RunFolder run = RunFolder::create(dir / "runs", "x");
  run.add_command("tenon-train-x --lr 1");
  run.add_command("tenon-train-x --resume");
  CHECK(test::read_file(run / "command.txt") == "tenon-train-x --lr 1\ntenon-train-x --resume\n");
  run.copy_inputs({dir.write("a/c.json", "1").string(), dir.write("b/c.json", "2").string(),
                   dir.write("a/c.json", "1").string()});
  CHECK(test::read_file(run / "inputs/c.json") == "1");
  CHECK(test::read_file(run / "inputs/c-2.json") == "2");
  CHECK(std::distance(fs::directory_iterator(run / "inputs"), fs::directory_iterator()) == 2);
  run.write_status(
      {.state = "failed", .step = 3, .total = 9, .exit_code = 8, .error = "odd \"x\""});
  const auto j = nlohmann::json::parse(test::read_file(run / "status.json"));
  CHECK(j["state"] == "failed");
  CHECK(j["step"] == 3);
  CHECK(j["eta_s"].is_null());
  CHECK(j["error"] == "odd \"x\"");
}

TEST_CASE("run resume: auto takes the newest run of the task that has a checkpoint") {
  test::TempDir dir;
  const std::string out = (dir / "runs").string();
  const ResumeRequest request{
      .resume = "auto", .out = out, .run_dir = {}, .task = "qac", .name = {}};
  CHECK_FALSE(find_resume(request));
  const auto first = make_run(out, "qac-a", {5, 10});
  make_run(out, "lm-a", {7});
  make_run(out, "qac-b-NAME", {2});
  make_run(out, "qac-c", {});
  auto found = find_resume(request);
  REQUIRE(found);
  CHECK(found->run.filename() == "0003-qac-b-NAME");
  CHECK(found->step == 2);
  CHECK_FALSE(found->fork);
  {
    const RunFolder busy = RunFolder::open(found->run);
    found = find_resume(request);
    REQUIRE(found);
    CHECK(fs::equivalent(found->run, first));
    CHECK(found->step == 10);
  }
  ResumeRequest named = request;
  named.name = "NAME";
  CHECK(find_resume(named)->run.filename() == "0003-qac-b-NAME");
  named.name = "NA";
  CHECK_FALSE(find_resume(named));
  ResumeRequest exact = request;
  exact.run_dir = first.string() + "/";
  CHECK(find_resume(exact)->step == 10);
  exact.run_dir = (dir / "new").string();
  CHECK_FALSE(find_resume(exact));
}

TEST_CASE("run resume: by path") {
  test::TempDir dir;
  const std::string out = (dir / "runs").string();
  const auto run = make_run(out, "qac-a", {5, 10});
  const auto empty = make_run(out, "qac-b", {});
  const auto find = [&](const fs::path& path) {
    return find_resume(
        {.resume = path.string(), .out = out, .run_dir = {}, .task = "qac", .name = {}});
  };
  CHECK(find(run)->step == 10);
  CHECK(find(run / "checkpoints/step-00000010")->fork == false);
  const auto older = find(run / "checkpoints/step-00000005");
  CHECK(older->step == 5);
  CHECK(older->fork);  // the newer checkpoint of that run must survive
  CHECK(fs::equivalent(older->run, run));
  REQUIRE_ERROR(find(empty), ErrorKind::Checkpoint, "has no whole checkpoint");
  REQUIRE_ERROR(find(dir / "runs/0001-qac-x"), ErrorKind::Checkpoint, "0001-qac-a");
  REQUIRE_ERROR(find(dir.path()), ErrorKind::Checkpoint, "is no run and no checkpoint");
  // A damaged newest checkpoint: the one before.
  dir.write("runs/0001-qac-a/checkpoints/step-00000010/model.safetensors", "changed!!!");
  CHECK(find(run)->step == 5);
}

TEST_CASE("run resume: settings that differ stop it, unless they may") {
  test::TempDir dir;
  Common saved;
  config::Table table;
  describe(table, saved);
  const config::Program program{.name = "t", .summary = "", .examples = {}};
  config::CommandLine first(program, table, {"--batch", "64", "--steps", "100"}, {});
  first.resolve();
  const auto run = make_run(dir / "runs", "qac-a", {5}, first.printed_config(false));
  const Resume resume{run, run / "checkpoints/step-00000005", 5, false};
  const auto again = [&](std::vector<std::string> words) {
    Common c;
    config::Table t;
    describe(t, c);
    config::CommandLine line(program, t, std::move(words), {});
    line.resolve(resume.config().string());
    check_resumed_config(line, resume, c.call.allow_change);
    return c.train.batch;
  };
  CHECK(again({"--resume"}) == 64);
  CHECK(again({"--steps", "200", "--threads", "1", "--micro-batch", "2", "--keep", "9",
               "--max-time", "1h", "--sample-every", "5", "--log-every", "1", "--device", "cpu"}) ==
        64);
  REQUIRE_ERROR(again({"--batch", "32", "--seed", "3"}), ErrorKind::Usage,
                "2 settings differ from those of 0001-qac-a");
  REQUIRE_ERROR(again({"--batch", "32"}), ErrorKind::Usage, "train.batch  64     32  (--batch)");
  REQUIRE_ERROR(again({"--batch", "32"}), ErrorKind::Usage, "--allow-change train.batch");
  CHECK(again({"--batch", "32", "--allow-change", "train.batch"}) == 32);
}

TEST_CASE("run ckpt: a run means best, then latest; folders and files are taken as they are") {
  test::TempDir dir;
  const auto run = make_run(dir / "runs", "qac-a", {5, 10});
  auto found = find_ckpt(run.string() + "/");
  CHECK(found.path.filename() == "step-00000010");
  CHECK(found.why == "latest of 0001-qac-a");
  io::set_checkpoint_pointer(run / "checkpoints", "best", 5);
  found = find_ckpt(run.string());
  CHECK(found.path.filename() == "step-00000005");
  CHECK(found.why == "best of 0001-qac-a");
  found = find_ckpt((run / "checkpoints/step-00000010").string());
  CHECK(fs::equivalent(found.run, run));
  const auto file = dir.write("w.safetensors", "x");
  CHECK(find_ckpt(file.string()).path == file);
  dir.write("hf/model.safetensors", "x");
  CHECK(find_ckpt((dir / "hf").string()).path == dir / "hf");
  REQUIRE_ERROR(find_ckpt((dir / "w.safetensor").string()), ErrorKind::Checkpoint, "w.safetensors");
  dir.write("other/readme", "x");
  REQUIRE_ERROR(find_ckpt((dir / "other").string()), ErrorKind::Checkpoint, "holds no weights");
  REQUIRE_ERROR(find_ckpt(""), ErrorKind::Checkpoint, "--ckpt");
}

TEST_CASE("run common: the length of a training in steps") {
  Common c;
  REQUIRE_ERROR(total_steps(c, 10, 100), ErrorKind::Usage, "length of the training is not set");
  c.train.kimg = 1.001;
  CHECK(total_steps(c, 10, 100) == 101);
  c.train.kimg.reset();
  c.train.epochs = 2.5;
  CHECK(total_steps(c, 10, 100) == 25);
  REQUIRE_ERROR(total_steps(c, 10, 0), ErrorKind::Usage, "--epochs");
  c.train.epochs.reset();
  c.train.tokens = 1000;
  CHECK(total_steps(c, 10, 0, 300) == 4);
  REQUIRE_ERROR(total_steps(c, 10, 0), ErrorKind::Usage, "--tokens");
  c.train.steps = 7;
  CHECK(total_steps(c, 10, 0) == 7);
}
