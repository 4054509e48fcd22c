#include "core/simd/parallel.h"

#include <omp.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <set>
#include <string>
#include <thread>

#include "core/base/error.h"

namespace tenon {
namespace {

// Physical cores in the affinity mask: logical CPUs with the same sibling list are one core.
int allowed_cores() {
  cpu_set_t mask;
  if (sched_getaffinity(0, sizeof(mask), &mask) != 0)
    return std::max(1u, std::thread::hardware_concurrency());
  std::set<std::string> cores;
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &mask)) continue;
    std::ifstream file("/sys/devices/system/cpu/cpu" + std::to_string(cpu) +
                       "/topology/thread_siblings_list");
    std::string siblings;
    if (!std::getline(file, siblings)) siblings = std::to_string(cpu);
    cores.insert(siblings);
  }
  return std::max<int>(1, static_cast<int>(cores.size()));
}

// CPUs' worth of time that the control group may use (containers), or a large number.
double quota() {
  std::ifstream file("/sys/fs/cgroup/cpu.max");
  double limit = 0, period = 0;
  if (file >> limit >> period && limit > 0 && period > 0) return limit / period;
  return 1e9;  // "max", or no such file
}

int default_threads() {
  if (const char* text = std::getenv("OMP_NUM_THREADS"))
    if (const int count = std::atoi(text); count > 0) return count;
  return std::max(1, static_cast<int>(std::min<double>(allowed_cores(), std::ceil(quota()))));
}

std::atomic<int>& setting() {
  static std::atomic<int> count{default_threads()};
  return count;
}

thread_local bool inside_loop = false;

}  // namespace

int threads() {
  return setting().load(std::memory_order_relaxed);
}

void set_threads(int count) {
  check(count >= 1 && count <= 4096, ErrorKind::Usage, "threads: {}, want 1 to 4096", count);
  setting().store(count);
  apply_threads_to_openmp();
}

bool in_parallel() {
  return inside_loop || omp_in_parallel();
}

void apply_threads_to_openmp() {
  const int count = threads();
  if (omp_get_max_threads() != count) omp_set_num_threads(count);
}

void use_passive_waiting(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY")) return;
  setenv("OMP_WAIT_POLICY", "passive", 1);
  execv("/proc/self/exe", argv);
  // Only reached where /proc is missing: the program runs on, with the default policy.
}

void detail::parallel_run(int64_t count, void (*body)(void*, int64_t), void* context) {
  const int team = static_cast<int>(std::min<int64_t>(count, threads()));
  std::atomic<int64_t> next{0};
  std::atomic<bool> failed{false};
  std::exception_ptr error;
  const auto work = [&] {
    const bool outer = inside_loop;
    inside_loop = true;
    try {
      for (int64_t i; !failed && (i = next.fetch_add(1, std::memory_order_relaxed)) < count;)
        body(context, i);
    } catch (...) {
      if (!failed.exchange(true)) error = std::current_exception();
    }
    inside_loop = outer;
  };
  if (team <= 1) {
    work();
  } else {
#if defined(__SANITIZE_THREAD__)
    // ThreadSanitizer cannot see libgomp's barriers and would report every loop.
    std::vector<std::thread> helpers;
    for (int i = 1; i < team; i++) helpers.emplace_back(work);
    work();
    for (auto& helper : helpers) helper.join();
#else
#pragma omp parallel num_threads(team)
    work();
#endif
  }
  if (error) std::rethrow_exception(error);
}

}  // namespace tenon
