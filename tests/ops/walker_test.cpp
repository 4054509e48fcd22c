// Every registered op, sample and check. Narrow it with TENON_TEST_OP, TENON_TEST_SAMPLE and
// TENON_TEST_CHECK, as the line printed with a failure does.
#include "tests/ops/walker.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
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
  std::map<std::string, std::pair<int, int>> table;         // check -> ops, runs
  std::map<std::string, std::map<std::string, int>> by_op;  // op -> check -> runs
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
        ++by_op[op->traits.name][check.name];
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
  // The table op x check, for TENON_TEST_TABLE=FILE: number of runs, '-' where a check has no
  // meaning.
  if (const char* path = std::getenv("TENON_TEST_TABLE")) {
    std::ofstream file(path);
    file << "| op |";
    for (const walker::Check& check : walker::checks()) file << ' ' << check.name << " |";
    file << "\n|---|";
    for (size_t i = 0; i < walker::checks().size(); ++i) file << "---|";
    for (const auto& [op, counts] : by_op) {
      file << "\n| " << op << " |";
      for (const walker::Check& check : walker::checks()) {
        const auto it = counts.find(check.name);
        file << ' ' << (it == counts.end() ? "-" : std::to_string(it->second)) << " |";
      }
    }
    file << '\n';
  }
}

// What an op must have been put through, whatever it is. A view has no kernel; an op without a
// gradient has no gradient checks; nothing else is left out.
TEST_CASE("no op misses a check", "[walker]") {
  for (const OpInfo* op : all_ops()) {
    const std::vector<Sample> samples = op->samples();
    for (const walker::Check& check : walker::checks()) {
      const std::string_view name = check.name;
      const bool has_gradient = op->traits.differentiable != Differentiable::None;
      const bool of_kernels = name == "reference" || name == "f64" || name == "f32" ||
                              name == "bf16" || name == "f16" || name == "strided" ||
                              name == "sliced" || name == "channels_last" ||
                              name == "apply_strided";
      const bool of_gradients = name == "gradient" || name == "needed_only" ||
                                name == "saved_bytes" || name == "version" ||
                                name == "second_backward" || name == "checkpoint";
      if (of_kernels && op->view) continue;
      // Its gradient is not the derivative, by design; tests/ops/registry_test.cpp checks it.
      const bool straight_through = std::string_view(op->traits.name) == "quantize_tanh";
      if (of_gradients && (!has_gradient || straight_through)) continue;
      if (name == "second_order" || name == "first_order_only" || name == "no_gradient" ||
          name == "refusal")
        continue;  // one of the first three by the op's own declaration; not all can refuse
      if ((name == "deterministic" || name == "threads") &&
          (op->traits.mutates || op->traits.thread_dependent))
        continue;
      INFO(op->traits.name << " never meets the check " << name);
      CHECK(std::any_of(samples.begin(), samples.end(),
                        [&](const Sample& s) { return check.applies(*op, s); }));
    }
  }
}
