// What this build is: version, commit, compiler, options, and the libraries it was made with.
#pragma once

#include <string>

namespace tenon {

// Facts known to the build system; filled by a generated source.
struct BuildInfo {
  const char* version;
  const char* commit;    // 12 digits, or "unknown" outside a git checkout
  bool dirty;            // tracked files differed from the commit
  const char* compiler;  // name and version
  const char* build_type;
  const char* flags;
  const char* targets;   // instruction sets of the vector code, e.g. "base avx2 avx512"
  const char* sanitize;  // sanitizers, or empty
  const char* cuda;      // "ON" or "OFF": kernels compiled by nvcc as well
  const char* tested;    // lines "library | Debian 12 | Ubuntu 24.04 | use"
};

const BuildInfo& build_info();

// One line: "tenon 0.1.0 (0123456789ab, changed)".
std::string version_line();

// The line above, the options, and a table of libraries: compiled with, tested with. For --version.
std::string version_text();

}  // namespace tenon
