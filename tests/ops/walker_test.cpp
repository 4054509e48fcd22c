// Every registered op, sample and check. Narrow it with TENON_TEST_OP, TENON_TEST_SAMPLE and
// TENON_TEST_CHECK, as the line printed with a failure does.
#include "tests/ops/walker.h"

#include <cstdio>
#include <cstdlib>
#include <map>

#include "tests/support/catch.h"

using namespace tenon;

namespace {

bool selected(const char* variable, std::string_view name) {
  const char* want = std::getenv(variable);
  return !want || !*want || name == want;
}

}  // namespace

TEST_CASE("every op passes every check", "[walker]") {
  std::map<std::string, std::pair<int, int>> table;  // check -> ops, runs
  int runs = 0;
  for (const OpInfo* op : all_ops()) {
    if (!selected("TENON_TEST_OP", op->traits.name)) continue;
    const std::vector<Sample> samples = op->samples();
    INFO(op->traits.name << " must have samples, one of them refused where it can refuse");
    CHECK(!samples.empty());
    for (const walker::Check& check : walker::checks()) {
      if (!selected("TENON_TEST_CHECK", check.name)) continue;
      bool used = false;
      for (const Sample& sample : samples) {
        if (!selected("TENON_TEST_SAMPLE", sample.name) || !check.applies(*op, sample)) continue;
        std::string bad;
        try {
          bad = check.run(*op, sample);
        } catch (const std::exception& e) {
          bad = fmt::format("threw: {}", e.what());
        }
        ++runs;
        used = true;
        ++table[check.name].second;
        if (!bad.empty())
          FAIL_CHECK(op->traits.name << " / " << sample.name << " / " << check.name << ": " << bad
                                     << "\n  again: " << walker::repro(*op, sample, check));
      }
      if (used) ++table[check.name].first;
    }
  }
  CHECK(runs > 0);
  std::printf("%-18s %6s %8s\n", "check", "ops", "runs");
  for (const walker::Check& check : walker::checks())
    std::printf("%-18s %6d %8d\n", check.name, table[check.name].first, table[check.name].second);
  std::printf("%zu ops, %d runs\n", all_ops().size(), runs);
}
