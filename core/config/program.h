// The frame of every program: errors become one line and an exit code.
#pragma once

#include <functional>

namespace tenon::config {

// Runs `body` and returns what main should return. An Error is printed to stderr as
// "error: ..." and "hint: ..." and gives the exit code of its kind; std::bad_alloc gives 5; any
// other exception 1 with a request to report it; Stopped is no error and prints "stopped: ...".
int program_main(const std::function<int()>& body);

}  // namespace tenon::config
