// A run folder: one training, its configuration, log, metrics, checkpoints and samples
// (docs/run-folder.md has the list of files).
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tenon::run {

struct Status {
  std::string state = "running";  // running stopped done failed
  std::int64_t step = 0, total = 0;
  std::optional<double> eta_seconds = {};
  std::string checkpoint = {};  // name of the last one, e.g. step-00012000
  int exit_code = 0;
  std::string error = {};  // why it failed or stopped
};

class RunFolder {
 public:
  using Path = std::filesystem::path;

  // OUT/0007-NAME with the next free number; two processes never get the same number.
  static RunFolder create(const Path& out, const std::string& name);
  // This folder, made if it is missing. Usage error when another process trains in it.
  static RunFolder open(const Path& folder);

  RunFolder(RunFolder&& other) noexcept;
  ~RunFolder();  // releases the lock

  const Path& path() const { return path_; }
  std::string name() const { return path_.filename().string(); }
  Path operator/(const std::string& file) const { return path_ / file; }
  Path checkpoints() const { return path_ / "checkpoints"; }
  Path samples() const { return path_ / "samples"; }

  // config.json, command.txt (one line more at each start), inputs/ (copies of the given files).
  void write_config(const std::string& json) const;
  void add_command(const std::string& command) const;
  void copy_inputs(const std::vector<std::string>& files) const;
  // Replaced as a whole; also tells other hosts that the lock is alive.
  void write_status(const Status& status) const;

 private:
  RunFolder(Path path, int lock) : path_(std::move(path)), lock_(lock) {}
  Path path_;
  int lock_ = -1;
};

// Who trains in this folder now ("pid 123 on node07"), or "".
std::string owner_of(const std::filesystem::path& folder);

// The number in front of a run's name: 7 for 0007-qac, nothing for other names.
std::optional<int> run_number(const std::string& name);

// Runs in `out` by rising number.
std::vector<std::filesystem::path> list_runs(const std::filesystem::path& out);

std::string host_name();

}  // namespace tenon::run
