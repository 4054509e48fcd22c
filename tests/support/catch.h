// Catch2 under one name: version 2 (Debian 12) and version 3 (Ubuntu 24.04) differ in their
// headers.
#pragma once

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_approx.hpp>
#include <catch2/catch_message.hpp>
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators_all.hpp>
#else
#include <catch2/catch.hpp>
// Version 2 has a matcher of this name, too, which makes the qualified name ambiguous.
namespace Catch {
using Detail::Approx;
}
#endif

#include <cstdio>
#include <string>

#include "core/base/error.h"

// Leaves a test that cannot run here, saying why; ctest reports it as skipped. Use it first thing
// in a test: ctest believes the text, so a failure before it would be hidden.
#define TENON_SKIP(reason)                                                \
  do {                                                                    \
    std::printf("tenon test skipped: %s\n", std::string(reason).c_str()); \
    SUCCEED("skipped");                                                   \
    return;                                                               \
  } while (false)

// The expression must throw tenon::Error of this kind, and the text of the error (message and hint)
// must contain `part`.
#define REQUIRE_ERROR(expression, wanted_kind, part)                                            \
  do {                                                                                          \
    bool tenon_thrown = false;                                                                  \
    try {                                                                                       \
      static_cast<void>(expression);                                                            \
    } catch (const ::tenon::Error& tenon_error) {                                               \
      tenon_thrown = true;                                                                      \
      INFO("error: " << tenon_error.what());                                                    \
      REQUIRE(tenon_error.kind() == (wanted_kind));                                             \
      const bool tenon_found = std::string(tenon_error.what()).find(part) != std::string::npos; \
      INFO("wanted in the text: " << (part));                                                   \
      REQUIRE(tenon_found);                                                                     \
    }                                                                                           \
    INFO("no error from " #expression);                                                         \
    REQUIRE(tenon_thrown);                                                                      \
  } while (false)
