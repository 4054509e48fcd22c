#include <atomic>
#include <stdexcept>
#include <vector>

#include "core/simd/parallel.h"
#include "core/simd/target.h"
#include "tests/support/catch.h"

using namespace tenon;

namespace {
// Restores the number of threads at the end of a test.
struct Threads {
  int before = threads();
  explicit Threads(int count) { set_threads(count); }
  ~Threads() { set_threads(before); }
};
}  // namespace

TEST_CASE("parallel_for visits each item once", "[simd]") {
  const Threads scope(3);
  for (const int64_t n : {0, 1, 2, 7, 100, 1001}) {
    std::vector<std::atomic<int>> visits(static_cast<size_t>(n));
    parallel_for(n, 3, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; i++) visits[static_cast<size_t>(i)]++;
    });
    for (auto& v : visits) CHECK(v == 1);
  }
}

TEST_CASE("loops do not nest", "[simd]") {
  const Threads scope(2);
  std::atomic<int> inner{0}, wrong{0};
  parallel_for(8, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; i++)
      parallel_for(100, 1, [&](int64_t a, int64_t b) {
        inner++;
        wrong += !in_parallel() || a != 0 || b != 100;
      });
  });
  CHECK(inner == 8);
  CHECK(wrong == 0);
  CHECK_FALSE(in_parallel());
}

TEST_CASE("an exception leaves a loop", "[simd]") {
  const Threads scope(2);
  CHECK_THROWS_AS(parallel_for(100, 1,
                               [](int64_t begin, int64_t) {
                                 if (begin > 20) throw std::runtime_error("stop");
                               }),
                  std::runtime_error);
  CHECK_FALSE(in_parallel());
}

TEST_CASE("a sum does not depend on the number of threads", "[simd]") {
  const auto sum = [] {
    return parallel_reduce_chunks(
        100000, 777, 0.0f,
        [](int64_t begin, int64_t end) {
          float s = 0;
          for (int64_t i = begin; i < end; i++) s += 1.0f / static_cast<float>(i + 1);
          return s;
        },
        [](float a, float b) { return a + b; });
  };
  const Threads scope(1);
  const float one = sum();
  set_threads(2);
  const float two = sum();
  set_threads(5);
  CHECK(one == two);
  CHECK(one == sum());
}

TEST_CASE("the number of threads is checked", "[simd]") {
  REQUIRE_ERROR(set_threads(0), ErrorKind::Usage, "threads");
  CHECK(threads() >= 1);
}

TEST_CASE("targets are ordered and base is always there", "[simd]") {
  CHECK(cpu_has(Target::base));
  CHECK(cpu_has(cpu_target()));
  CHECK(std::string(name(Target::avx512)) == "avx512");
}
