#include "core/config/program.h"

#include <cstdio>
#include <exception>
#include <new>

#include "core/base/error.h"

namespace tenon::config {

int program_main(const std::function<int()>& body) {
  int code = 0;
  try {
    code = body();
  } catch (const Error& error) {
    const bool stopped = error.kind() == ErrorKind::Stopped;
    fmt::print(stderr, "{}: {}\n", stopped ? "stopped" : "error", error.message());
    if (!error.hint().empty()) fmt::print(stderr, "hint: {}\n", error.hint());
    code = exit_code(error.kind());
  } catch (const std::bad_alloc&) {
    fmt::print(stderr, "error: out of memory\nhint: a smaller --micro-batch needs less\n");
    code = exit_code(ErrorKind::Memory);
  } catch (const std::exception& error) {
    fmt::print(stderr, "error: {}\nhint: this is a bug; please report the command and this text\n",
               error.what());
    code = exit_code(ErrorKind::Internal);
  }
  if (std::fflush(stdout) != 0 && code == 0) {
    fmt::print(stderr, "error: cannot write to standard output\n");
    code = exit_code(ErrorKind::Disk);
  }
  return code;
}

}  // namespace tenon::config
