#include "tests/e2e/program.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <sstream>
#include <thread>

namespace tenon::test {
namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

namespace {

std::vector<std::string> environment() {
  std::vector<std::string> out;
  for (char** e = environ; *e; ++e)
    if (std::string_view(*e).substr(0, 6) != "TENON_") out.emplace_back(*e);
  out.emplace_back("OMP_NUM_THREADS=1");
  return out;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> out;
  for (std::string& w : words) out.push_back(w.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

Running::Running(const fs::path& folder, const std::string& program, const Words& words) {
  static std::atomic<int> count = 0;
  const int n = count++;
  out_ = folder / fmt::format("output-{}.txt", n);
  err_ = folder / fmt::format("errors-{}.txt", n);
  std::vector<std::string> all = {std::string(TENON_BIN_DIR) + "/" + program};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<std::string> variables = environment();
  const std::vector<char*> argv = pointers(all), envp = pointers(variables);
  const int in = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int out = open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  const int err = open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  pid_ = fork();
  if (pid_ != 0) {
    for (const int file : {in, out, err}) close(file);
    if (pid_ < 0) throw std::runtime_error("cannot fork");
    return;
  }
  if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(126);
  execve(argv[0], argv.data(), envp.data());
  _exit(127);
}

Running::~Running() {
  if (ended_) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, &status_, 0);
}

void Running::send(int signal) const {
  if (!ended_) kill(pid_, signal);
}

std::string Running::err() const {
  return read_file(err_);
}

bool Running::poll() {
  if (!ended_) ended_ = waitpid(pid_, &status_, WNOHANG) == pid_;
  return ended_;
}

bool Running::wait_for_file(const fs::path& file) {
  while (!fs::exists(file)) {
    if (poll()) return fs::exists(file);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}

Ended Running::wait(double seconds) {
  Ended result;
  const auto end = Clock::now() + std::chrono::duration<double>(seconds);
  while (!poll()) {
    if (Clock::now() > end) {
      result.timed_out = true;
      kill(pid_, SIGKILL);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  if (WIFEXITED(status_)) result.code = WEXITSTATUS(status_);
  if (WIFSIGNALED(status_)) result.signal = WTERMSIG(status_);
  result.out = read_file(out_);
  result.err = read_file(err_);
  return result;
}

Ended run(const fs::path& folder, const std::string& program, const Words& words) {
  return Running(folder, program, words).wait();
}

Words tiny(const Words& more) {
  Words words = {"--data",
                 "generated:64",
                 "--resolution",
                 "8",
                 "--model-channels",
                 "8",
                 "--channel-mult",
                 "1,2",
                 "--num-blocks",
                 "1",
                 "--attn-resolutions",
                 "4",
                 "--encoder-width",
                 "4",
                 "--encoder-mults",
                 "2,2",
                 "--code-dim",
                 "4",
                 "--batch",
                 "8",
                 "--dropout",
                 "0.2",
                 "--augment",
                 "0.5",
                 "--lr-rampup",
                 "0.01",
                 "--threads",
                 "1",
                 "--sample-count",
                 "4",
                 "--no-tensorboard",
                 "--no-report"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

std::string different_file(const fs::path& a, const fs::path& b) {
  for (const char* name :
       {"model.safetensors", "ema.safetensors", "optim.safetensors", "state.json"}) {
    if (!fs::exists(a / name)) return (a / name).string() + " (missing)";
    if (!fs::exists(b / name)) return (b / name).string() + " (missing)";
    if (read_file(a / name) != read_file(b / name)) return name;
  }
  return {};
}

fs::path checkpoint(const fs::path& run, int step) {
  return run / "checkpoints" / fmt::format("step-{:08}", step);
}

int lines_starting(const std::string& text, const std::string& start) {
  std::istringstream in(text);
  int count = 0;
  for (std::string line; std::getline(in, line);) count += line.rfind(start, 0) == 0;
  return count;
}

}  // namespace tenon::test
