// The progress line and the log.
//
//   step  12000/390625   3.1% | loss 0.2143 | lr 6.14e-04 | gnorm 0.482 | 5.83k img/s | mfu 41.2% |
//   data 0.6% | mem 21.4/79.1G | eta 9h41m (Tue 19:12)          (one line)
//
// Order and separators never change. On a terminal the line is redrawn at most 5 times a second;
// elsewhere only permanent lines are printed. log.txt gets every permanent line with its time.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "trainers/run/metrics.h"

namespace tenon::run {

struct ProgressLine {
  std::int64_t step = 0, total = 0;
  double loss = 0;
  std::vector<std::pair<std::string, std::string>> extra;  // at most two, after the loss
  double lr = 0, grad_norm = 0;
  double per_second = 0;
  std::string unit = "img";                  // img, tok, seq
  std::optional<double> mfu;                 // 0..1; "-" when the peak is unknown
  double data_share = 0;                     // 0..1
  double memory_bytes = 0, memory_size = 0;  // peak of the worst rank, size of the device
  std::optional<double> seconds_left;        // "--" when not known yet
};

// `now`: seconds since 1970, for the clock time in parentheses (local time).
std::string format_progress(const ProgressLine& line, double now);

// 9h41m, 12m, 45s; the two largest units.
std::string format_eta(double seconds);
// 5.83k, 912, 1.20M: three digits.
std::string format_rate(double per_second);

enum class ProgressMode { Auto, Terminal, Plain, Json, Off };
ProgressMode parse_progress_mode(const std::string& name);

// Writes to `out` (stderr) and to log.txt. Not for use by several threads at once.
class Log {
 public:
  struct Options {
    ProgressMode mode = ProgressMode::Auto;  // Auto: Terminal on a terminal, else Plain
    bool color = false;
    bool quiet = false;  // only errors and warnings reach `out`
    std::filesystem::path file = {};
    int width = 0;  // 0: ask the terminal
  };
  explicit Log(Options options, std::FILE* out = stderr);
  ~Log();
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  void line(const std::string& text);     // permanent
  void warning(const std::string& text);  // permanent, "warning: ", also when quiet
  // permanent: keep the line and write it to the log; otherwise only redraw.
  void progress(const ProgressLine& line, bool permanent);
  // A metrics line; printed with --progress json only.
  void record(const Record& record);
  // Removes the redrawn line, e.g. before other output.
  void clear();

  ProgressMode mode() const { return mode_; }

 private:
  void emit(const std::string& text, bool shown);

  Options options_;
  ProgressMode mode_;
  std::FILE* out_;
  std::FILE* file_ = nullptr;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_draw_{};
};

// auto, always, never; NO_COLOR wins over auto.
bool use_color(const std::string& choice, std::FILE* out);

}  // namespace tenon::run
