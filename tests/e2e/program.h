// Running the real programs as a user does.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/temp_dir.h"

namespace tenon::test {

using Words = std::vector<std::string>;

struct Ended {
  int code = -1;   // exit code, or -1 when a signal ended it
  int signal = 0;  // that signal
  std::string out, err;
  bool timed_out = false;  // and was killed for it
};

// A program of the build, running with its output going to files of `folder`. It gets the caller's
// environment without TENON_* variables and with one thread. Killed when the object goes.
class Running {
 public:
  Running(const std::filesystem::path& folder, const std::string& program, const Words& words);
  ~Running();
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  void send(int signal) const;
  // What it wrote to stderr so far.
  std::string err() const;
  // Waits until `file` exists or the program has ended; false for the latter.
  bool wait_for_file(const std::filesystem::path& file);
  Ended wait(double seconds = 60);

 private:
  bool poll();

  std::filesystem::path out_, err_;
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

// Runs to the end.
Ended run(const std::filesystem::path& folder, const std::string& program, const Words& words);

// The smallest training that uses every part: random images, dropout, augmentation, attention,
// encoder. About 10 ms a step. `more` comes last and so wins.
Words tiny(const Words& more);

// Files of two checkpoints that must be equal to the bit; returns the first that differs, or "".
std::string different_file(const std::filesystem::path& a, const std::filesystem::path& b);

// RUN/checkpoints/step-N
std::filesystem::path checkpoint(const std::filesystem::path& run, int step);

// How many lines of `text` begin with `start`.
int lines_starting(const std::string& text, const std::string& start);

}  // namespace tenon::test
