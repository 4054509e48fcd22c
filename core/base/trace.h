// Tracing switched on by TENON_TRACE=topic[,topic]: dispatch (which implementation ran and why
// others did not), copies (layout copies the engine had to make), memory, graph.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace tenon {

enum class Trace { Dispatch, Copies, Memory, Graph };

bool trace_enabled(Trace topic);
void set_trace(Trace topic, bool on);    // for tests and tools
void trace_line(std::string_view text);  // one line on stderr, prefixed with "trace: "

template <class... Args>
void trace(Trace topic, fmt::format_string<Args...> text, Args&&... args) {
  if (trace_enabled(topic)) [[unlikely]]
    trace_line(fmt::format(text, std::forward<Args>(args)...));
}

// A log line for people on stderr: "warning: ...". Never used for results.
void log_warning(std::string_view text);

}  // namespace tenon
