// What --resume and --ckpt mean: from the words to a run and a checkpoint.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tenon::config {
class CommandLine;
}

namespace tenon::run {

struct Resume {
  std::filesystem::path run;         // where the saved configuration is
  std::filesystem::path checkpoint;  // folder
  std::int64_t step = 0;
  // The checkpoint is not the newest of its run: training goes on in a new run folder, so that what
  // the old run has is kept.
  bool fork = false;

  std::filesystem::path config() const { return run / "config.json"; }
};

struct ResumeRequest {
  std::string resume;   // "", "auto" or a path (run, or checkpoint folder)
  std::string out;      // folder of runs
  std::string run_dir;  // --run-dir, or ""
  std::string task;     // "qac": auto takes runs of this task only
  std::string name;     // --name: auto takes runs of this name only
};

// Nothing when there is nothing to resume: no request, or "auto" with no run that has a checkpoint
// (so that the same command starts a job and goes on with it). Checkpoint error for a bad path.
std::optional<Resume> find_resume(const ResumeRequest& request);

// Usage error with both values of every setting that differs from the saved run, unless all of them
// may change on resume or are in `allow_change`.
void check_resumed_config(const config::CommandLine& command, const Resume& resume,
                          const std::vector<std::string>& allow_change);

struct CheckpointChoice {
  std::filesystem::path path;  // a checkpoint folder, or a weight file
  std::filesystem::path run;   // empty for what lies outside a run
  std::string why;             // "best of 0007-qac", "latest of ...", "" when given exactly
};

// --ckpt: a run (its best checkpoint, else the latest), a checkpoint folder, or a weight file.
CheckpointChoice find_ckpt(const std::string& path);

}  // namespace tenon::run
