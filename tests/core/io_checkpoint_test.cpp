#include "core/io/checkpoint_folder.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <thread>

#include "core/io/background_writer.h"
#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace tenon::io {
namespace {

void save(const fs::path& root, std::int64_t step, CheckpointWriter::Stage on_stage = {}) {
  CheckpointWriter writer(root, step, std::move(on_stage));
  writer.write("model.safetensors", std::string(10000, static_cast<char>('a' + step % 26)));
  writer.write("state.json", fmt::format("{{\"step\": {}}}", step));
  writer.commit();
}

std::string state_of(const CheckpointInfo& checkpoint) {
  return test::read_file(checkpoint.path / "state.json");
}

// Runs `work` in a child process that kills itself (SIGKILL) at its n-th stage. False when the work
// ended before.
bool killed_at(int n, const std::function<void(CheckpointWriter::Stage)>& work) {
  const pid_t child = ::fork();
  if (child == 0) {
    int left = n;
    work([&](const char*) {
      if (left-- == 0) ::kill(::getpid(), SIGKILL);
    });
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status);
}

}  // namespace

TEST_CASE("io: checkpoints are written, listed and found") {
  const test::TempDir temp;
  const fs::path root = temp / "checkpoints";
  CHECK_FALSE(find_checkpoint(root).has_value());
  save(root, 5);
  save(root, 10);
  CHECK(test::read_file(root / "latest") == "step-00000010\n");
  const auto all = list_checkpoints(root);
  REQUIRE(all.size() == 2);
  CHECK(all[0].step == 5);
  CHECK(find_checkpoint(root)->step == 10);
  CHECK(verify_checkpoint(all[1].path).size() == 2);
  set_checkpoint_pointer(root, "best", 5);
  CHECK(find_checkpoint(root, "best")->step == 5);
  CHECK_FALSE(find_checkpoint(root, "other").has_value());
  CHECK(checkpoint_step("step-00000010") == 10);
  CHECK(checkpoint_step(checkpoint_name(1234567890123)) == 1234567890123);
  CHECK_FALSE(checkpoint_step("step-0001.tmp-12").has_value());
  REQUIRE_ERROR(verify_checkpoint(root / "step-00000011"), ErrorKind::Checkpoint, "step-00000010");
}

TEST_CASE("io: an abandoned checkpoint leaves nothing") {
  const test::TempDir temp;
  {
    CheckpointWriter writer(temp.path(), 1);
    writer.write("a", "x");
  }
  CHECK(fs::is_empty(temp.path()));
}

TEST_CASE("io: every damage of a checkpoint is seen, and the older one is taken") {
  const test::TempDir temp;
  save(temp.path(), 1);
  const fs::path newer = temp / checkpoint_name(2);
  const auto damaged = [&](const std::function<void()>& damage) {
    save(temp.path(), 2);
    damage();
    REQUIRE_THROWS_AS(verify_checkpoint(newer), Error);
    const auto found = find_checkpoint(temp.path());
    REQUIRE(found.has_value());
    CHECK(found->step == 1);
  };
  for (const char* name : {"model.safetensors", "state.json", kManifestName}) {
    damaged([&] { fs::remove(newer / name); });
    damaged([&] { fs::resize_file(newer / name, 0); });
    damaged([&] { fs::resize_file(newer / name, fs::file_size(newer / name) - 3); });
  }
  damaged([&] {  // same size, one other byte
    std::string text = test::read_file(newer / "model.safetensors");
    text[5000] ^= 1;
    temp.write(checkpoint_name(2) + "/model.safetensors", text);
  });
  REQUIRE_ERROR(verify_checkpoint(newer), ErrorKind::Checkpoint, "checksum");
  CHECK_NOTHROW(verify_checkpoint(newer, Verify::Sizes));
  temp.write("latest", "step-99999999\n");  // points nowhere
  CHECK(find_checkpoint(temp.path())->step == 1);
  temp.write("latest", "../../etc\n");
  CHECK(find_checkpoint(temp.path())->step == 1);
}

TEST_CASE("io: killed at every stage of a save, a checkpoint is always there") {
  int stages = 0;
  for (int n = 0; n < 100; ++n) {
    const test::TempDir temp;
    save(temp.path(), 1);
    const bool killed = killed_at(n, [&](auto stage) { save(temp.path(), 2, stage); });
    const auto found = find_checkpoint(temp.path());
    REQUIRE(found.has_value());
    CHECK(state_of(*found) == fmt::format("{{\"step\": {}}}", found->step));
    clean_checkpoint_leftovers(temp.path());
    for (const auto& entry : fs::directory_iterator(temp.path()))
      CHECK(entry.path().filename().string().find(".tmp") == std::string::npos);
    CHECK(find_checkpoint(temp.path())->step == found->step);
    save(temp.path(), 3);  // and saving goes on
    CHECK(find_checkpoint(temp.path())->step == 3);
    stages = n;
    if (!killed) break;
  }
  CHECK(stages >= 10);
}

TEST_CASE("io: killed while a checkpoint of the same step is replaced") {
  for (int n = 0; n < 100; ++n) {
    const test::TempDir temp;
    save(temp.path(), 1);
    const bool killed = killed_at(n, [&](auto stage) { save(temp.path(), 1, stage); });
    clean_checkpoint_leftovers(temp.path());
    const auto found = find_checkpoint(temp.path());
    REQUIRE(found.has_value());
    CHECK(state_of(*found) == "{\"step\": 1}");
    if (!killed) break;
  }
  // What is left when the file system cannot exchange folders.
  const test::TempDir temp;
  save(temp.path(), 1);
  fs::rename(temp / checkpoint_name(1), temp / (checkpoint_name(1) + ".old"));
  clean_checkpoint_leftovers(temp.path());
  CHECK(find_checkpoint(temp.path())->step == 1);
}

TEST_CASE("io: killed at random moments while saving again and again") {
  const test::TempDir temp;
  save(temp.path(), 0);
  std::int64_t last = 0;
  for (int round = 0; round < 20; ++round) {
    const pid_t child = ::fork();
    if (child == 0) {
      clean_checkpoint_leftovers(temp.path());
      for (std::int64_t step = last + 1;; ++step) {
        save(temp.path(), step);
        prune_checkpoints(temp.path(), 2);
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(500 + 1733 * round));
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    const auto found = find_checkpoint(temp.path());
    REQUIRE(found.has_value());
    CHECK(found->step >= last);
    CHECK(state_of(*found) == fmt::format("{{\"step\": {}}}", found->step));
    last = found->step;
  }
  CHECK(last > 0);
}

TEST_CASE("io: pruning keeps the newest, the named and the multiples") {
  const test::TempDir temp;
  for (std::int64_t step = 1; step <= 8; ++step) save(temp.path(), step);
  set_checkpoint_pointer(temp.path(), "best", 2);
  prune_checkpoints(temp.path(), 0);
  CHECK(list_checkpoints(temp.path()).size() == 8);
  fs::remove(temp / checkpoint_name(8) / "state.json");  // the newest one is damaged
  prune_checkpoints(temp.path(), 1, 3);
  std::vector<std::int64_t> left;
  for (const CheckpointInfo& c : list_checkpoints(temp.path())) left.push_back(c.step);
  CHECK(left == std::vector<std::int64_t>{2, 3, 6, 7});
  CHECK(find_checkpoint(temp.path())->step == 7);
}

TEST_CASE("io: background saves run, and their errors come out of the next call") {
  BackgroundWriter writer;
  std::atomic<int> done = 0;
  for (int i = 0; i < 3; ++i)
    writer.submit([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      ++done;
    });
  writer.wait();
  CHECK(done == 3);
  writer.submit([] { throw_error(ErrorKind::Disk, "full"); });
  REQUIRE_ERROR(writer.wait(), ErrorKind::Disk, "full");
  CHECK_NOTHROW(writer.poll());
  writer.submit([] { throw_error(ErrorKind::Disk, "full again"); });
  REQUIRE_ERROR(writer.submit([] {}), ErrorKind::Disk, "full again");
}

TEST_CASE("io: a full disk is tried again for a while") {
  using std::chrono::milliseconds;
  int calls = 0, warnings = 0;
  const auto warn = [&](const std::string&) { ++warnings; };
  retry_on_disk_error(
      [&] {
        if (++calls < 3) throw_error(ErrorKind::Disk, "full");
      },
      warn, milliseconds(1000), milliseconds(1));
  CHECK(calls == 3);
  CHECK(warnings == 2);
  REQUIRE_ERROR(retry_on_disk_error([] { throw_error(ErrorKind::Disk, "full"); }, warn,
                                    milliseconds(5), milliseconds(1)),
                ErrorKind::Disk, "full");
  REQUIRE_ERROR(retry_on_disk_error([] { throw_error(ErrorKind::Data, "bad"); }, warn),
                ErrorKind::Data, "bad");
}

}  // namespace tenon::io
