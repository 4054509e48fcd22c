#include "core/base/trace.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace tenon {

namespace {
constexpr std::string_view kTopics[] = {"dispatch", "copies", "memory", "graph"};

unsigned from_environment() {
  const char* env = std::getenv("TENON_TRACE");
  if (!env) return 0;
  unsigned mask = 0;
  std::string_view rest(env);
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    const std::string_view word = rest.substr(0, comma);
    bool known = false;
    for (unsigned i = 0; i < std::size(kTopics); ++i)
      if (word == kTopics[i]) mask |= 1u << i, known = true;
    if (!known && !word.empty())
      log_warning(
          fmt::format("TENON_TRACE: unknown topic '{}', want dispatch, copies, memory or "
                      "graph",
                      word));
    rest = comma == std::string_view::npos ? std::string_view() : rest.substr(comma + 1);
  }
  return mask;
}

std::atomic<unsigned>& mask() {
  static std::atomic<unsigned> value{from_environment()};
  return value;
}
}  // namespace

bool trace_enabled(Trace topic) {
  return (mask().load(std::memory_order_relaxed) >> static_cast<unsigned>(topic)) & 1u;
}

void set_trace(Trace topic, bool on) {
  const unsigned bit = 1u << static_cast<unsigned>(topic);
  on ? mask().fetch_or(bit) : mask().fetch_and(~bit);
}

void trace_line(std::string_view text) {
  const std::string line = fmt::format("trace: {}\n", text);
  std::fwrite(line.data(), 1, line.size(), stderr);  // one write: lines of threads do not mix
}

void log_warning(std::string_view text) {
  const std::string line = fmt::format("warning: {}\n", text);
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace tenon
