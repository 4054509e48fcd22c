// tenon-version: what this build is made of.
#include <cstdio>

#include "core/base/version.h"

int main() {
  std::fputs(tenon::version_text().c_str(), stdout);
}
