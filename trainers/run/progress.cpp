#include "trainers/run/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "core/base/error.h"

namespace tenon::run {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(200);

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string clock_text(const char* format, double seconds) {
  const auto t = static_cast<std::time_t>(seconds);
  std::tm parts = {};
  localtime_r(&t, &parts);
  char text[64];
  return {text, std::strftime(text, sizeof text, format, &parts)};
}

std::string gib(double bytes) {
  return fmt::format("{:.1f}", bytes / (1024.0 * 1024 * 1024));
}

int terminal_width(std::FILE* out) {
  winsize size = {};
  return ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

}  // namespace

std::string format_eta(double seconds) {
  const auto s = static_cast<std::int64_t>(std::llround(std::max(0.0, seconds)));
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d{:02}h", s / 86400, s / 3600 % 24);
}

std::string format_rate(double v) {
  const char* unit = "";
  for (const char* next : {"k", "M", "G"}) {
    if (std::abs(v) < 999.5) break;
    v /= 1000;
    unit = next;
  }
  // Three digits, and no point without a digit behind it.
  const int decimals = std::abs(v) < 9.995 ? 2 : std::abs(v) < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f}{}", v, decimals, unit);
}

std::string format_progress(const ProgressLine& p, double now) {
  const std::string total = fmt::format("{}", p.total);
  std::string out = fmt::format(
      "step {:>{}}/{} {:>5.1f}% | loss {:.4g}", p.step, std::max<std::size_t>(6, total.size()),
      total, p.total > 0 ? 100.0 * static_cast<double>(p.step) / static_cast<double>(p.total) : 0.0,
      p.loss);
  for (std::size_t i = 0; i < p.extra.size() && i < 2; ++i)
    out += fmt::format(" | {} {}", p.extra[i].first, p.extra[i].second);
  out += fmt::format(" | lr {:.2e} | gnorm {:.3g} | {} {}/s", p.lr, p.grad_norm,
                     format_rate(p.per_second), p.unit);
  out += p.mfu ? fmt::format(" | mfu {:.1f}%", 100 * *p.mfu) : " | mfu -";
  out += fmt::format(" | data {:.1f}% | mem {}", 100 * p.data_share, gib(p.memory_bytes));
  if (p.memory_size > 0) out += "/" + gib(p.memory_size);
  out += "G | eta ";
  if (!p.seconds_left) return out + "--";
  const double end = now + *p.seconds_left;
  return out + fmt::format("{} ({})", format_eta(*p.seconds_left), clock_text("%a %H:%M", end));
}

ProgressMode parse_progress_mode(const std::string& name) {
  if (name == "auto") return ProgressMode::Auto;
  if (name == "plain") return ProgressMode::Plain;
  if (name == "json") return ProgressMode::Json;
  if (name == "off") return ProgressMode::Off;
  throw_error(ErrorKind::Usage, "--progress: '{}' is not one of auto, plain, json, off", name);
}

bool use_color(const std::string& choice, std::FILE* out) {
  if (choice == "always") return true;
  if (choice == "never") return false;
  const char* no_color = std::getenv("NO_COLOR");
  return isatty(fileno(out)) && !(no_color && *no_color);
}

Log::Log(Options options, std::FILE* out)
    : options_(std::move(options)), mode_(options_.mode), out_(out) {
  if (mode_ == ProgressMode::Auto)
    mode_ = isatty(fileno(out)) ? ProgressMode::Terminal : ProgressMode::Plain;
  if (options_.file.empty()) return;
  file_ = std::fopen(options_.file.c_str(), "ae");
  check(file_ != nullptr, ErrorKind::Disk, "cannot write '{}': {}", options_.file.string(),
        std::strerror(errno));
}

Log::~Log() {
  clear();
  if (file_) std::fclose(file_);
}

void Log::clear() {
  if (!drawn_) return;
  std::fputs("\r\033[K", out_);
  std::fflush(out_);
  drawn_ = false;
}

void Log::emit(const std::string& text, bool shown) {
  if (file_) {
    fmt::print(file_, "{} {}\n", clock_text("%Y-%m-%dT%H:%M:%S%z", now_seconds()), text);
    std::fflush(file_);
  }
  if (!shown) return;
  clear();
  fmt::print(out_, "{}\n", text);
  std::fflush(out_);
}

// With --progress json only JSON goes to `out`; the text still goes to log.txt.
void Log::line(const std::string& text) {
  emit(text, !options_.quiet && mode_ != ProgressMode::Json);
}

void Log::warning(const std::string& text) {
  if (mode_ == ProgressMode::Json && !options_.quiet)
    fmt::print(out_, "{}\n", json_line(Record("warn").add("text", text)));
  const std::string plain = "warning: " + text;
  if (options_.color && mode_ != ProgressMode::Json) {
    emit(plain, false);
    clear();
    fmt::print(out_, "\033[33mwarning:\033[0m {}\n", text);
    std::fflush(out_);
  } else {
    emit(plain, mode_ != ProgressMode::Json);
  }
}

void Log::progress(const ProgressLine& p, bool permanent) {
  const bool shown = !options_.quiet && mode_ != ProgressMode::Off && mode_ != ProgressMode::Json;
  if (permanent) return emit(format_progress(p, now_seconds()), shown);
  if (!shown || mode_ != ProgressMode::Terminal) return;
  const auto now = std::chrono::steady_clock::now();
  if (now - last_draw_ < kRedraw) return;
  last_draw_ = now;
  std::string text = format_progress(p, now_seconds());
  const int width = options_.width > 0 ? options_.width : terminal_width(out_);
  text.resize(std::min<std::size_t>(text.size(), static_cast<std::size_t>(std::max(1, width - 1))));
  fmt::print(out_, "\r{}\033[K", text);
  std::fflush(out_);
  drawn_ = true;
}

void Log::record(const Record& record) {
  if (mode_ != ProgressMode::Json || options_.quiet) return;
  fmt::print(out_, "{}\n", json_line(record));
  std::fflush(out_);
}

}  // namespace tenon::run
