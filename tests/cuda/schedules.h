// Runs a kernel under every order of warps and demands the same bits from each.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "cuda/simt/simt.h"

namespace tenon::test {

struct NamedSchedule {
  const char* name;
  simt::Schedule schedule;
  uint64_t seed;
};

inline std::vector<NamedSchedule> all_schedules() {
  using simt::Schedule;
  return {{"forward", Schedule::Forward, 1},
          {"reverse", Schedule::Reverse, 1},
          {"random 1", Schedule::Random, 1},
          {"random 2", Schedule::Random, 2}};
}

// run() returns a vector; all schedules must give the same one, bit for bit. Returns it.
template <class Run>
auto same_in_all_schedules(Run&& run) {
  decltype(run()) first;
  bool have = false;
  for (const NamedSchedule& order : all_schedules()) {
    const simt::ScheduleGuard guard(order.schedule, order.seed);
    const auto result = run();
    if (!have) {
      first = result;
      have = true;
    }
    const size_t bytes = first.size() * sizeof(first[0]);
    if (result.size() != first.size() ||
        (bytes && std::memcmp(static_cast<const void*>(result.data()),
                              static_cast<const void*>(first.data()), bytes) != 0))
      throw_error(ErrorKind::Compare, "schedule {} gives another result than forward", order.name);
  }
  return first;
}

// The message of the error that run() throws; "" if it throws none.
template <class Run>
std::string error_of(Run&& run) {
  try {
    run();
  } catch (const Error& e) {
    return e.message();
  }
  return "";
}

}  // namespace tenon::test
