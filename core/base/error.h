// Errors: one exception type for everything a user can cause, carrying what is needed to act on it.
//
// An Error has a kind (which decides the program's exit code), a message that says what was got and
// what was wanted, and optionally a hint that says how to fix it. Programs print exactly
//   error: <message>
//   hint: <hint>
// and exit with exit_code(kind). Code that finds a broken invariant of ours throws kind Internal.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace tenon {

// The kinds map one to one to the documented exit codes (docs/errors.md).
enum class ErrorKind {
  Internal = 1,    // a bug, or anything not listed below
  Usage = 2,       // flag, key, value, shape or dtype given by the user
  Data = 3,        // data missing or damaged
  Checkpoint = 4,  // checkpoint missing, damaged, or of another model
  Memory = 5,      // out of host or device memory
  Device = 6,      // device, driver or build does not fit
  Peer = 7,        // another rank failed or timed out
  NonFinite = 8,   // a loss, gradient or weight is not finite
  Disk = 9,        // no space, quota, permission
  Compare = 10,    // a comparison failed
  Stopped = 75,    // stopped as asked, state saved
};

constexpr int exit_code(ErrorKind kind) {
  return static_cast<int>(kind);
}

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string message, std::string hint = {})
      : std::runtime_error(hint.empty() ? message : message + " (hint: " + hint + ")"),
        kind_(kind),
        message_(std::move(message)),
        hint_(std::move(hint)) {}

  ErrorKind kind() const { return kind_; }
  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }

 private:
  ErrorKind kind_;
  std::string message_, hint_;
};

// throw_error(ErrorKind::Data, "{}: magic is {:#x}, want {:#x}", path, got, want);
template <class... Args>
[[noreturn]] void throw_error(ErrorKind kind, fmt::format_string<Args...> text, Args&&... args) {
  throw Error(kind, fmt::format(text, std::forward<Args>(args)...));
}

// As throw_error, with a hint (a finished string; use fmt::format where it needs values).
template <class... Args>
[[noreturn]] void throw_hint(ErrorKind kind, std::string hint, fmt::format_string<Args...> text,
                             Args&&... args) {
  throw Error(kind, fmt::format(text, std::forward<Args>(args)...), std::move(hint));
}

// For user mistakes: check(x.rank() == 2, ErrorKind::Usage, "linear: x has rank {}, want 2", r).
// The format arguments are evaluated either way, so keep them cheap on hot paths.
template <class... Args>
void check(bool ok, ErrorKind kind, fmt::format_string<Args...> text, Args&&... args) {
  if (!ok) [[unlikely]]
    throw Error(kind, fmt::format(text, std::forward<Args>(args)...));
}

// For our own invariants; the text names file and line because only a developer can act on it.
#define TENON_ASSERT(cond)                                                                  \
  do {                                                                                      \
    if (!(cond)) [[unlikely]]                                                               \
      throw ::tenon::Error(::tenon::ErrorKind::Internal,                                    \
                           std::string("internal: " #cond " failed at ") + __FILE__ + ":" + \
                               std::to_string(__LINE__));                                   \
  } while (false)

}  // namespace tenon
