// What every fuzz target shares: an Error is the right answer to bad input, anything else is not.
#pragma once

#include <cstdlib>

#include "core/base/error.h"
#include "core/io/bytes.h"

namespace tenon::fuzz {

// Runs `parse` on hostile bytes. Errors about the input pass; an Internal one is a broken
// invariant.
template <class Parse>
int run(Parse&& parse) {
  try {
    parse();
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::Internal) std::abort();
  }
  return 0;
}

}  // namespace tenon::fuzz
