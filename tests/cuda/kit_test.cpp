// The words of the kernel vocabulary against what the PTX ISA says of them.
#ifndef TENON_SIMT_EMULATED
#define TENON_SIMT_EMULATED 1
#endif
#include <algorithm>
#include <numeric>
#include <vector>

#include "cuda/kit/atomic.h"
#include "cuda/kit/launch.h"
#include "cuda/kit/mma.h"
#include "cuda/kit/philox.h"
#include "cuda/kit/reduce.h"
#include "tests/cuda/schedules.h"
#include "tests/support/catch.h"

using namespace tenon;
using namespace tenon::kit;
using tenon::test::same_in_all_schedules;

namespace {

TENON_KERNEL shuffle_kernel(int* out) {
  const int lane = lane_index();
  int* o = out + lane * 8;
  o[0] = shuffle(lane * 10, 3);
  o[1] = shuffle_xor(lane, 5);
  o[2] = shuffle_down(lane, 4);
  o[3] = shuffle_up(lane, 4);
  o[4] = static_cast<int>(ballot(lane % 3 == 0));
  o[5] = any(lane == 31);
  o[6] = all(lane < 31);
  o[7] = static_cast<int>(shuffle(lane + 0.5, lane + 1) * 2);  // a double
}

TENON_KERNEL reduce_kernel(const float* x, float* out) {
  const float v = x[thread_index()];
  const float sum = block_reduce(v, Sum{}), largest = block_reduce(v, Max{});
  const float again = block_reduce(sum, Max{});
  out[3 * thread_index()] = sum;
  out[3 * thread_index() + 1] = largest;
  out[3 * thread_index() + 2] = again;
}

TENON_KERNEL atomic_kernel(int* count, float* sum, int* largest, int* slot) {
  atomic_add(count, 1);
  atomic_add(sum, 0.5f);
  atomic_max(largest, static_cast<int>(grid_thread_index() * 7919 % 1000));
  atomic_cas(slot, -1, thread_index());
}

// d = a b for one 16 x 8 x 16 product, through shared memory. b is [k, n], or [n, k] if Transposed.
template <bool Transposed>
TENON_KERNEL mma_kernel(const bf16* a, const bf16* b, float* d) {
  TENON_SHARED(bf16, tile_a, 16 * 16);
  TENON_SHARED(bf16, tile_b, 16 * 16);
  const int lane = lane_index();
  for (int i = lane; i < 256; i += 32) tile_a[i] = a[i];
  for (int i = lane; i < 256; i += 32) tile_b[i] = i < 128 ? b[i] : bf16(0.0f);
  sync_warp();
  FragmentA fa;
  ldmatrix_x4(fa.r, tile_a + lane % 16 * 16 + lane / 16 * 8);
  uint32_t r[4];
  if (Transposed)  // [n, k]: matrices 0 and 1 are k 0..7 and 8..15; rows past n = 7 are not used
    ldmatrix_x4(r, tile_b + lane % 8 * 16 + lane / 8 % 2 * 8);
  else  // [k, n] with rows of 8: matrices 0 and 1 are k 0..7 and 8..15
    ldmatrix_x4_transposed(r, tile_b + lane % 16 * 8);
  FragmentC c{{1, 1, 1, 1}};
  mma_16816_bf16(c, fa, FragmentB{{r[0], r[1]}});
  const int g = lane / 4, t = lane % 4 * 2;
  for (int i = 0; i < 4; ++i) d[(g + i / 2 * 8) * 8 + t + i % 2] = c.r[i];
}

TENON_KERNEL philox_kernel(uint64_t key, uint32_t* out) {
  out[grid_thread_index()] = random_bits(key, static_cast<uint64_t>(grid_thread_index()), 9);
}

}  // namespace

TEST_CASE("shuffles and votes") {
  const auto out = same_in_all_schedules([] {
    std::vector<int> y(256);
    launch<shuffle_kernel>({1}, 32, 0, nullptr, y.data());
    return y;
  });
  for (int lane = 0; lane < 32; ++lane) {
    const int* o = out.data() + lane * 8;
    CHECK(o[0] == 30);
    CHECK(o[1] == (lane ^ 5));
    CHECK(o[2] == (lane < 28 ? lane + 4 : lane));  // out of range: one's own value
    CHECK(o[3] == (lane >= 4 ? lane - 4 : lane));
    CHECK(static_cast<uint32_t>(o[4]) == 0x49249249u);
    CHECK(o[5] == 1);
    CHECK(o[6] == 0);
    CHECK(o[7] == ((lane + 1) % 32) * 2 + 1);
  }
}

TEST_CASE("block reductions for every number of warps") {
  for (int warps = 1; warps <= 32; ++warps) {
    const int n = warps * 32;
    std::vector<float> x(static_cast<size_t>(n));
    for (int i = 0; i < n; ++i) x[static_cast<size_t>(i)] = static_cast<float>((i * 37) % 101 - 50);
    const auto out = same_in_all_schedules([&] {
      std::vector<float> y(3 * x.size());
      launch<reduce_kernel>({1}, n, 0, nullptr, static_cast<const float*>(x.data()), y.data());
      return y;
    });
    const float sum = std::accumulate(x.begin(), x.end(), 0.0f);
    const float largest = *std::max_element(x.begin(), x.end());
    for (size_t i = 0; i < x.size(); ++i) {
      REQUIRE(out[3 * i] == sum);
      REQUIRE(out[3 * i + 1] == largest);
      REQUIRE(out[3 * i + 2] == sum);
    }
  }
}

TEST_CASE("atomics") {
  int count = 0, largest = -1, slot = -1;
  float sum = 0;
  launch<atomic_kernel>({3}, 64, 0, nullptr, &count, &sum, &largest, &slot);
  CHECK(count == 192);
  CHECK(sum == 96);
  int want = 0;
  for (int i = 0; i < 192; ++i) want = std::max(want, i * 7919 % 1000);
  CHECK(largest == want);
  CHECK(slot == 0);
}

TEST_CASE("ldmatrix and mma follow the fragment layouts") {
  // Small integers: products and sums are exact, so every misplaced element shows.
  std::vector<bf16> a(256), b(128), bt(128);
  for (int i = 0; i < 256; ++i) a[static_cast<size_t>(i)] = static_cast<float>(i * 7 % 23 - 11);
  for (int k = 0; k < 16; ++k)
    for (int n = 0; n < 8; ++n) {
      const float v = static_cast<float>((k * 8 + n) * 5 % 17 - 8);
      b[static_cast<size_t>(k * 8 + n)] = v;
      bt[static_cast<size_t>(n * 16 + k)] = v;
    }
  const auto run = [&](bool transposed) {
    std::vector<float> d(128);
    if (transposed)
      launch<mma_kernel<true>>({1}, 32, 0, nullptr, static_cast<const bf16*>(a.data()),
                               static_cast<const bf16*>(bt.data()), d.data());
    else
      launch<mma_kernel<false>>({1}, 32, 0, nullptr, static_cast<const bf16*>(a.data()),
                                static_cast<const bf16*>(b.data()), d.data());
    return d;
  };
  const auto d = same_in_all_schedules([&] { return run(false); });
  const auto dt = same_in_all_schedules([&] { return run(true); });
  for (size_t m = 0; m < 16; ++m)
    for (size_t n = 0; n < 8; ++n) {
      float want = 1;
      for (size_t k = 0; k < 16; ++k) want += float(a[m * 16 + k]) * float(b[k * 8 + n]);
      CHECK(d[m * 8 + n] == want);
      CHECK(dt[m * 8 + n] == want);
    }
}

TEST_CASE("philox gives Random123's known answers, in kernels too") {
  // kat_vectors of Random123 1.14: counter, key, result of philox4x32-10.
  const auto same = [](Philox4 got, std::vector<uint32_t> want) {
    return std::equal(want.begin(), want.end(), got.v);
  };
  CHECK(same(philox(0, 0, 0), {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  CHECK(same(philox(~0ull, ~0ull, ~0ull), {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  CHECK(same(philox(0x299f31d0a4093822ull, 0x85a308d3243f6a88ull, 0x0370734413198a2eull),
             {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
  std::vector<uint32_t> out(64);
  launch<philox_kernel>({2}, 32, 0, nullptr, uint64_t{42}, out.data());
  for (size_t i = 0; i < out.size(); ++i) CHECK(out[i] == philox(42, i / 4, 9).v[i % 4]);
}
