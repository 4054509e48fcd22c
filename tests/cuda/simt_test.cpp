// The emulator must find the faults it is there for: each case is a kernel with one fault.
#ifndef TENON_SIMT_EMULATED
#define TENON_SIMT_EMULATED 1
#endif
#include "cuda/simt/simt.h"

#include <cmath>
#include <stdexcept>
#include <vector>

#include "cuda/kit/cp_async.h"
#include "cuda/kit/launch.h"
#include "cuda/kit/reduce.h"
#include "cuda/kit/vec128.h"
#include "tests/cuda/schedules.h"
#include "tests/support/catch.h"

using namespace tenon;
using namespace tenon::kit;
using tenon::test::error_of;
using tenon::test::same_in_all_schedules;

namespace {

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

// Thread i hands its value to thread (i + 37) % n.
template <bool Sync>
TENON_KERNEL rotate_kernel(const float* x, float* y) {
  TENON_SHARED(float, tile, 128);
  tile[thread_index()] = x[thread_index()];
  if (Sync) sync_block();
  y[thread_index()] = tile[(thread_index() + 37) % block_threads()];
}

template <bool Sync>
std::vector<float> rotate() {
  std::vector<float> x(128), y(128);
  for (size_t i = 0; i < 128; ++i) x[i] = static_cast<float>(i);
  launch<rotate_kernel<Sync>>({1}, 128, 0, nullptr, x.data(), y.data());
  return y;
}

// Two rounds through one tile; without the second barrier a fast warp overwrites what others read.
template <bool Sync>
TENON_KERNEL two_rounds_kernel(float* y) {
  TENON_SHARED(float, tile, 128);
  float sum = 0;
  for (int round = 0; round < 4; ++round) {
    tile[thread_index()] = static_cast<float>(round * 1000 + thread_index());
    sync_block();
    sum += tile[(thread_index() + 64) % block_threads()];
    if (Sync) sync_block();
  }
  y[thread_index()] = sum;
}

template <bool Sync>
std::vector<float> two_rounds() {
  std::vector<float> y(128);
  launch<two_rounds_kernel<Sync>>({1}, 128, 0, nullptr, y.data());
  return y;
}

TENON_KERNEL neighbour_kernel(float* y, bool sync) {
  TENON_SHARED(float, tile, 32);
  tile[lane_index()] = static_cast<float>(lane_index());
  if (sync) sync_warp();
  y[lane_index()] = tile[(lane_index() + 1) % 32];
}

TENON_KERNEL early_exit_kernel(int leave) {
  if (thread_index() < leave) return;
  sync_block();
}

TENON_KERNEL two_barriers_kernel() {
  if (thread_index() == 40)
    sync_block();
  else
    sync_block();
}

TENON_KERNEL mask_kernel(int kind, int* out) {
  const int lane = lane_index();
  if (kind == 0) {  // half the warp returns, the rest names all
    if (lane >= 16) return;
    *out += shuffle_xor(lane, 1);
  } else if (kind == 1) {  // the mask lacks the caller
    *out += shuffle_xor(lane, 1, 0xfffffffeu);
  } else if (kind == 2) {  // lanes of one mask in different branches
    if (lane < 16)
      *out += shuffle_xor(lane, 1);
    else
      *out += shuffle_xor(lane, 2);
  } else if (kind == 3) {  // a lane waits at a barrier instead
    if (lane == 5) sync_block();
    *out += shuffle_xor(lane, 1);
  } else if (kind == 4) {  // lanes that do not exist
    *out += shuffle_xor(lane, 1);
  } else {  // right: each half by itself
    const uint32_t mask = lane < 16 ? 0xffffu : 0xffff0000u;
    *out += lane < 16 ? shuffle_xor(lane, 1, mask) : shuffle_xor(lane, 2, mask);
  }
}

std::string mask_error(int kind, int threads = 32) {
  int out = 0;
  return error_of([&] { launch<mask_kernel>({1}, threads, 0, nullptr, kind, &out); });
}

enum class Wait { None, Late, Right };
TENON_KERNEL async_kernel(const float* x, float* y, Wait wait) {
  TENON_SHARED(float, tile, 8 * 32);
  float* mine = tile + 8 * thread_index();
  cp_async_16(mine, x + 8 * thread_index());
  cp_async_commit();
  cp_async_16(mine + 4, x + 8 * thread_index() + 4, 8);  // two of the four, zeros behind
  cp_async_commit();
  if (wait == Wait::Late) cp_async_wait<1>();
  if (wait == Wait::Right) cp_async_wait<0>();
  for (int i = 0; i < 8; ++i) y[8 * thread_index() + i] = mine[i];
}

std::vector<float> async_copy(Wait wait) {
  std::vector<float> x(256, 3.0f), y(256);
  launch<async_kernel>({1}, 32, 0, nullptr, static_cast<const float*>(x.data()), y.data(), wait);
  return y;
}

TENON_KERNEL read_shared_kernel(float* y, bool write) {
  TENON_SHARED(float, fixed, 4);
  TENON_DYN_SHARED(float, dynamic);
  if (block_x() == 0 && write) fixed[0] = dynamic[0] = 1;
  y[2 * block_x()] = fixed[0];
  y[2 * block_x() + 1] = dynamic[0];
}

template <int N>
TENON_KERNEL big_shared_kernel() {
  TENON_SHARED(char, tile, N);
  tile[0] = 0;
}

struct CountsAlive {
  int* alive;
  explicit CountsAlive(int* a) : alive(a) { ++*alive; }
  ~CountsAlive() { --*alive; }
};
TENON_KERNEL throwing_kernel(int* alive) {
  const CountsAlive guard(alive);
  sync_block();
  if (block_x() == 2 && thread_index() == 70) throw std::runtime_error("no such luck");
  sync_block();
}

TENON_KERNEL misaligned_kernel(const float* x, float* y) {
  *y = load128(x + 1).v[0];
}
TENON_KERNEL nested_kernel() {
  launch<big_shared_kernel<1>>({1}, 32, 0, nullptr);
}
TENON_KERNEL nothing_kernel() {}

}  // namespace

TEST_CASE("a missing barrier gives other values under other schedules") {
  const auto y = same_in_all_schedules(rotate<true>);
  for (size_t i = 0; i < 128; ++i) REQUIRE(y[i] == static_cast<float>((i + 37) % 128));
  CHECK(error_of([] { same_in_all_schedules(rotate<false>); }) != "");
  for (const auto& order : test::all_schedules()) {  // and NaN where nothing was written yet
    const simt::ScheduleGuard guard(order.schedule, order.seed);
    int poisoned = 0;
    for (const float v : rotate<false>()) poisoned += std::isnan(v);
    CHECK(poisoned > 0);
  }
}

TEST_CASE("a missing second barrier is seen when warps run ahead of each other") {
  const auto y = same_in_all_schedules(two_rounds<true>);
  for (size_t i = 0; i < 128; ++i)
    REQUIRE(y[i] == 6000.0f + 4.0f * static_cast<float>((i + 64) % 128));
  CHECK(contains(error_of([] { same_in_all_schedules(two_rounds<false>); }), "another result"));
}

TEST_CASE("lanes of a warp do not run in lock-step") {
  const auto run = [](bool sync) {
    std::vector<float> y(32);
    launch<neighbour_kernel>({1}, 32, 0, nullptr, y.data(), sync);
    return y;
  };
  const auto y = same_in_all_schedules([&] { return run(true); });
  for (size_t i = 0; i < 32; ++i) REQUIRE(y[i] == static_cast<float>((i + 1) % 32));
  CHECK(std::isnan(run(false)[0]));
}

TEST_CASE("a barrier that some threads never reach is an error") {
  const std::string text = error_of([] { launch<early_exit_kernel>({2}, 96, 0, nullptr, 5); });
  CHECK(
      contains(text, "early_exit_kernel, block (0,0,0), thread 5: waits at the barrier simt_test"));
  CHECK(contains(text, "5 of 96 threads never reach"));
  CHECK(error_of([] { launch<early_exit_kernel>({2}, 96, 0, nullptr, 0); }) == "");
  CHECK(error_of([] { launch<early_exit_kernel>({2}, 96, 0, nullptr, 96); }) == "");
}

TEST_CASE("a barrier reached at different lines is an error") {
  const std::string text = error_of([] { launch<two_barriers_kernel>({1}, 64, 0, nullptr); });
  CHECK(contains(text, "thread 40: waits at the barrier"));
}

TEST_CASE("a collective whose mask is wrong is an error") {
  for (const auto& order : test::all_schedules()) {
    const simt::ScheduleGuard guard(order.schedule, order.seed);
    CHECK(contains(mask_error(0), "returned"));
    CHECK(contains(mask_error(1), "does not name the calling lane"));
    CHECK(contains(mask_error(2), "which waits at the collective"));
    CHECK(contains(mask_error(3), "lane 5, which waits at the block barrier"));
    CHECK(contains(mask_error(4, 48), "never existed"));
    CHECK(mask_error(5) == "");
  }
}

TEST_CASE("a missing wait for cp_async reads NaN") {
  const auto right = same_in_all_schedules([] { return async_copy(Wait::Right); });
  const auto late = async_copy(Wait::Late), none = async_copy(Wait::None);
  for (size_t i = 0; i < 256; ++i) {
    REQUIRE(right[i] == (i % 8 < 6 ? 3.0f : 0.0f));
    if (i % 8 < 4)
      REQUIRE(late[i] == 3.0f);
    else
      REQUIRE(std::isnan(late[i]));
    REQUIRE(std::isnan(none[i]));
  }
}

TEST_CASE("each block starts with NaN in shared memory") {
  std::vector<float> y(4);
  launch<read_shared_kernel>({2}, 1, 16, nullptr, y.data(), true);
  CHECK(y[0] == 1);
  CHECK(y[1] == 1);
  CHECK(std::isnan(y[2]));
  CHECK(std::isnan(y[3]));
}

TEST_CASE("shared memory is counted") {
  CHECK(error_of([] { launch<big_shared_kernel<48 * 1024>>({1}, 32, 0, nullptr); }) == "");
  CHECK(contains(error_of([] { launch<big_shared_kernel<48 * 1024 + 1>>({1}, 32, 0, nullptr); }),
                 "shared memory"));
  CHECK(error_of([] { launch<nothing_kernel>({1}, 32, 227 * 1024, nullptr); }) == "");
  CHECK(contains(error_of([] { launch<nothing_kernel>({1}, 32, 227 * 1024 + 1, nullptr); }),
                 "shared memory"));
  CHECK(contains(error_of([] { launch<big_shared_kernel<1024>>({1}, 32, 227 * 1024, nullptr); }),
                 "shared memory"));
}

TEST_CASE("an exception in a kernel names the thread, unwinds the others and leaves all usable") {
  int alive = 0;
  for (int round = 0; round < 3; ++round) {
    const std::string text =
        error_of([&] { launch<throwing_kernel>({4}, 128, 0, nullptr, &alive); });
    CHECK(contains(text, "throwing_kernel, block (2,0,0), thread 70: no such luck"));
    CHECK(alive == 0);
    CHECK(same_in_all_schedules(rotate<true>)[0] == 37);
  }
}

TEST_CASE("a misaligned vector access is an error") {
  alignas(16) float x[8] = {};
  float y = 0;
  CHECK(contains(error_of([&] {
                   launch<misaligned_kernel>({1}, 1, 0, nullptr, static_cast<const float*>(x), &y);
                 }),
                 "not aligned"));
}

TEST_CASE("launches that a GPU refuses are errors") {
  CHECK(error_of([] { launch<nothing_kernel>({0}, 32, 0, nullptr); }) != "");
  CHECK(error_of([] { launch<nothing_kernel>({1, 65536}, 32, 0, nullptr); }) != "");
  CHECK(error_of([] { launch<nothing_kernel>({1}, 0, 0, nullptr); }) != "");
  CHECK(error_of([] { launch<nothing_kernel>({1}, 1025, 0, nullptr); }) != "");
  CHECK(error_of([] { launch<nothing_kernel>({3, 2, 2}, 1024, 0, nullptr); }) == "");
  CHECK(
      contains(error_of([] { launch<nested_kernel>({1}, 32, 0, nullptr); }), "from inside kernel"));
}
