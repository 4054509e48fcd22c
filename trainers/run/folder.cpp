#include "trainers/run/folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>

#include "core/io/json.h"

namespace tenon::run {
namespace {

namespace fs = std::filesystem;
constexpr const char* kLockName = "lock";
// A lock of another host counts as alive this long after its last sign of life, because flock()
// does not reach across hosts on every file system.
constexpr double kForeignLockSeconds = 15 * 60;

std::string read_text(int descriptor) {
  char text[512];
  const ssize_t n = pread(descriptor, text, sizeof text, 0);
  return {text, static_cast<std::size_t>(std::max<ssize_t>(0, n))};
}

struct Owner {
  std::string host;
  int pid = 0;
  std::string text() const { return fmt::format("pid {} on {}", pid, host); }
};

std::optional<Owner> parse_owner(const std::string& text) {
  Owner owner;
  const std::size_t space = text.find(' ');
  if (space == 0 || space == text.npos) return std::nullopt;
  owner.host = text.substr(0, space);
  owner.pid = std::atoi(text.c_str() + space);
  if (owner.pid <= 0) return std::nullopt;
  return owner;
}

// Has the lock of another host shown life lately?
bool foreign_and_fresh(int descriptor, const std::optional<Owner>& owner) {
  if (!owner || owner->host == host_name()) return false;
  struct stat s = {};
  if (fstat(descriptor, &s) != 0) return false;
  return std::difftime(std::time(nullptr), s.st_mtime) < kForeignLockSeconds;
}

[[noreturn]] void owned(const fs::path& folder, const std::string& owner) {
  throw_hint(ErrorKind::Usage,
             fmt::format("wait for it or stop it; if it is gone for sure, remove '{}'",
                         (folder / kLockName).string()),
             "'{}' is being trained by {}", folder.string(), owner);
}

int take_lock(const fs::path& folder) {
  const fs::path file = folder / kLockName;
  for (;;) {
    const int lock = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    check(lock >= 0, ErrorKind::Disk, "cannot write '{}': {}", file.string(), std::strerror(errno));
    const auto owner = parse_owner(read_text(lock));
    if (flock(lock, LOCK_EX | LOCK_NB) != 0 || foreign_and_fresh(lock, owner)) {
      close(lock);
      owned(folder, owner ? owner->text() : "another process");
    }
    // The owner before us may have removed the file between our open and our lock.
    struct stat ours = {}, named = {};
    if (fstat(lock, &ours) != 0 || stat(file.c_str(), &named) != 0 || ours.st_ino != named.st_ino) {
      close(lock);
      continue;
    }
    const std::string text = fmt::format("{} {}\n", host_name(), getpid());
    if (ftruncate(lock, 0) != 0 ||
        pwrite(lock, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
      close(lock);
      throw_error(ErrorKind::Disk, "cannot write '{}'", file.string());
    }
    return lock;
  }
}

}  // namespace

std::string host_name() {
  char name[256] = {};
  if (gethostname(name, sizeof name - 1) != 0) return "localhost";
  return name;
}

std::optional<int> run_number(const std::string& name) {
  const std::size_t dash = name.find('-');
  if (dash == name.npos || dash < 4 || dash > 8) return std::nullopt;
  for (std::size_t i = 0; i < dash; ++i)
    if (name[i] < '0' || name[i] > '9') return std::nullopt;
  return std::atoi(name.c_str());
}

std::vector<fs::path> list_runs(const fs::path& out) {
  std::vector<fs::path> runs;
  std::error_code code;
  for (fs::directory_iterator at(out, code), end; !code && at != end; at.increment(code))
    if (run_number(at->path().filename().string()) && at->is_directory(code))
      runs.push_back(at->path());
  std::sort(runs.begin(), runs.end(), [](const fs::path& a, const fs::path& b) {
    return std::pair(*run_number(a.filename().string()), a) <
           std::pair(*run_number(b.filename().string()), b);
  });
  return runs;
}

RunFolder RunFolder::create(const Path& out, const std::string& name) {
  io::make_folders(out);
  const auto next = [&] {
    const auto runs = list_runs(out);
    return runs.empty() ? 1 : *run_number(runs.back().filename().string()) + 1;
  };
  int number = next();
  for (;;) {
    // The number is claimed by making OUT/.0007 (only one process can), then that folder gets its
    // name; a claim that came too late finds the number taken and goes on.
    const Path claim = out / fmt::format(".{:04}", number);
    if (mkdir(claim.c_str(), 0755) != 0) {
      check(errno == EEXIST, ErrorKind::Disk, "cannot make a folder in '{}': {}", out.string(),
            std::strerror(errno));
      ++number;
      continue;
    }
    if (const int free = next(); free > number) {
      rmdir(claim.c_str());
      number = free;
      continue;
    }
    const Path folder = out / fmt::format("{:04}-{}", number, name);
    io::rename_path(claim, folder);
    return open(folder);
  }
}

RunFolder RunFolder::open(const Path& folder) {
  io::make_folders(folder);
  const int lock = take_lock(folder);
  RunFolder run(fs::absolute(folder).lexically_normal(), lock);
  if (!run.path_.has_filename()) run.path_ = run.path_.parent_path();
  io::make_folders(run.checkpoints());
  io::make_folders(run.samples());
  return run;
}

RunFolder::RunFolder(RunFolder&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

RunFolder::~RunFolder() {
  if (lock_ < 0) return;
  unlink((path_ / kLockName).c_str());
  close(lock_);
}

void RunFolder::write_config(const std::string& json) const {
  io::write_file_atomic(path_ / "config.json", std::string_view(json));
}

void RunFolder::add_command(const std::string& command) const {
  const Path file = path_ / "command.txt";
  std::string text;
  std::error_code code;
  if (fs::exists(file, code)) text = std::string(io::as_text(io::read_file(file)));
  io::write_file_atomic(file, std::string_view(text + command + "\n"));
}

void RunFolder::copy_inputs(const std::vector<std::string>& files) const {
  if (files.empty()) return;
  const Path folder = path_ / "inputs";
  io::make_folders(folder);
  for (const std::string& file : files) {
    // Never over an older copy: a resumed run may be given another file of the same name.
    const io::ByteBuffer bytes = io::read_file(file);
    Path to = folder / Path(file).filename();
    std::error_code code;
    for (int i = 2; fs::exists(to, code) && io::read_file(to) != bytes; ++i)
      to = folder /
           fmt::format("{}-{}{}", Path(file).stem().string(), i, Path(file).extension().string());
    io::write_file_atomic(to, bytes);
  }
}

void RunFolder::write_status(const Status& s) const {
  using Json = nlohmann::ordered_json;
  Json j = {{"state", s.state}, {"step", s.step}, {"total", s.total}};
  j["eta_s"] = s.eta_seconds ? Json(*s.eta_seconds) : Json(nullptr);
  j["checkpoint"] = s.checkpoint;
  j["exit_code"] = s.exit_code;
  j["error"] = s.error;
  j["host"] = host_name();
  j["pid"] = getpid();
  j["t"] =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  const std::string text = j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  io::write_file_atomic(path_ / "status.json", std::string_view(text));
  if (lock_ >= 0) futimens(lock_, nullptr);
}

std::string owner_of(const fs::path& folder) {
  const fs::path file = folder / kLockName;
  const int lock = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (lock < 0) return {};
  const auto owner = parse_owner(read_text(lock));
  const bool alive = flock(lock, LOCK_SH | LOCK_NB) != 0 || foreign_and_fresh(lock, owner);
  close(lock);
  if (!alive) return {};
  return owner ? owner->text() : "another process";
}

}  // namespace tenon::run
