#include "trainers/run/resume.h"

#include <algorithm>

#include "core/base/error.h"
#include "core/config/command_line.h"
#include "core/io/checkpoint_folder.h"
#include "trainers/run/folder.h"

namespace tenon::run {
namespace {

namespace fs = std::filesystem;

bool is_run(const fs::path& folder) {
  std::error_code code;
  return fs::is_regular_file(folder / "config.json", code) &&
         fs::is_directory(folder / "checkpoints", code);
}

fs::path without_slash(fs::path path) {
  return path.has_filename() ? path : path.parent_path();
}

// RUN for RUN/checkpoints/step-N, else empty.
fs::path run_of(const fs::path& checkpoint) {
  const fs::path folder = fs::absolute(checkpoint).lexically_normal().parent_path();
  return folder.filename() == "checkpoints" && is_run(folder.parent_path()) ? folder.parent_path()
                                                                            : fs::path();
}

std::optional<Resume> latest_of(const fs::path& run) {
  const auto found = io::find_checkpoint(run / "checkpoints");
  if (!found) return std::nullopt;
  return Resume{run, found->path, found->step, false};
}

// 0007-qac-cifar10-NAME: a run of task qac, named NAME.
bool is_of(const fs::path& run, const ResumeRequest& r) {
  std::string rest = run.filename().string();
  rest = rest.substr(rest.find('-') + 1) + "-";
  const bool task = rest.rfind(r.task + "-", 0) == 0;
  const std::string end = "-" + r.name + "-";
  return task && (r.name.empty() || (rest.size() >= end.size() &&
                                     rest.compare(rest.size() - end.size(), end.size(), end) == 0));
}

}  // namespace

std::optional<Resume> find_resume(const ResumeRequest& r) {
  if (r.resume.empty()) return std::nullopt;
  std::error_code code;
  if (r.resume == "auto") {
    if (!r.run_dir.empty()) {
      const fs::path run = without_slash(r.run_dir);
      return is_run(run) ? latest_of(run) : std::nullopt;
    }
    auto runs = list_runs(r.out);
    std::reverse(runs.begin(), runs.end());
    for (const fs::path& run : runs) {
      if (!is_of(run, r) || !is_run(run) || !owner_of(run).empty()) continue;
      if (auto found = latest_of(run)) return found;
    }
    return std::nullopt;
  }
  const fs::path path = without_slash(r.resume);
  if (!fs::exists(path, code)) throw io::not_found(path, "--resume", ErrorKind::Checkpoint);
  if (is_run(path)) {
    if (auto found = latest_of(path)) return found;
    throw_error(ErrorKind::Checkpoint, "--resume: '{}' has no whole checkpoint", path.string());
  }
  const fs::path run = run_of(path);
  const auto step = io::checkpoint_step(path.filename().string());
  if (run.empty() || !step)
    throw_hint(ErrorKind::Checkpoint,
               "give a run (runs/0007-...), or a checkpoint in its checkpoints/; --init-from takes "
               "weights alone",
               "--resume: '{}' is no run and no checkpoint of one", path.string());
  io::verify_checkpoint(path);
  const auto newest = latest_of(run);
  return Resume{run, path, *step, newest && newest->step > *step};
}

void check_resumed_config(const config::CommandLine& command, const Resume& resume,
                          const std::vector<std::string>& allow_change) {
  std::vector<config::Difference> refused;
  for (const config::Difference& d : command.compare(resume.config().string())) {
    const bool allowed =
        std::find(allow_change.begin(), allow_change.end(), d.key) != allow_change.end();
    if (!d.resumable && !allowed) refused.push_back(d);
  }
  if (refused.empty()) return;
  throw_hint(ErrorKind::Usage,
             fmt::format("--allow-change {} goes on with the new value; without --resume a new run "
                         "starts",
                         refused[0].key),
             "--resume: {} {} from those of {}\n{}", refused.size(),
             refused.size() == 1 ? "setting differs" : "settings differ",
             resume.run.filename().string(), config::difference_table(refused, "saved", "now"));
}

CheckpointChoice find_ckpt(const std::string& text) {
  const fs::path path = without_slash(text);
  std::error_code code;
  if (text.empty() || !fs::exists(path, code))
    throw io::not_found(path, "--ckpt", ErrorKind::Checkpoint);
  if (fs::is_regular_file(path, code)) return {path, {}, {}};
  if (!is_run(path)) {
    if (fs::exists(path / io::kManifestName, code)) {
      io::verify_checkpoint(path, io::Verify::Sizes);
      return {path, run_of(path), {}};
    }
    // A folder as published: weights and a configuration, no manifest.
    for (const char* name : {"model.safetensors", "model.safetensors.index.json"})
      if (fs::exists(path / name, code)) return {path, {}, {}};
    throw_hint(ErrorKind::Checkpoint, "--ckpt takes a run, a checkpoint folder or a weight file",
               "--ckpt: '{}' holds no weights", path.string());
  }
  for (const char* which : {"best", "latest"}) {
    if (std::string(which) == "best" && !fs::exists(path / "checkpoints" / which, code)) continue;
    if (const auto found = io::find_checkpoint(path / "checkpoints", which))
      return {found->path, path, fmt::format("{} of {}", which, path.filename().string())};
  }
  throw_error(ErrorKind::Checkpoint, "--ckpt: '{}' has no whole checkpoint", path.string());
}

}  // namespace tenon::run
