#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "core/simd/vec.h"
#include "tests/support/catch.h"

using namespace tenon;
using namespace tenon::TENON_TARGET;

namespace {

f32x16 iota() {
  float lane[16];
  std::iota(lane, lane + 16, 0.0f);
  return load(static_cast<const float*>(lane));
}

template <class Half>
void check_every_half() {
  std::vector<Half> in(65536), out(65536);
  for (size_t i = 0; i < in.size(); i++) in[i].bits = static_cast<uint16_t>(i);
  for (size_t i = 0; i < in.size(); i += 16) {
    const f32x16 v = load(in.data() + i);
    for (size_t l = 0; l < 16; l++) {
      const float want = static_cast<float>(in[i + l]);
      if (std::isnan(want) ? !std::isnan(v[static_cast<int>(l)]) : v[static_cast<int>(l)] != want)
        FAIL("bits " << i + l);
    }
    store(v, out.data() + i);
  }
  size_t wrong = 0;
  for (size_t i = 0; i < in.size(); i++)
    wrong += std::isnan(static_cast<float>(in[i])) ? !std::isnan(static_cast<float>(out[i]))
                                                   : in[i].bits != out[i].bits;
  CHECK(wrong == 0);
}

template <class Half>
void check_rounding() {
  size_t wrong = 0;
  for (uint64_t bits = 0; bits < 0x100000000ull; bits += 65521 * 3) {
    float x;
    const auto u = static_cast<uint32_t>(bits);
    memcpy(&x, &u, sizeof(x));
    Half out[16];
    store(f32x16(x), static_cast<Half*>(out));
    const Half want(x);
    wrong += std::isnan(x) ? !std::isnan(static_cast<float>(out[9])) : out[9].bits != want.bits;
  }
  CHECK(wrong == 0);
}

}  // namespace

TEST_CASE("vector arithmetic, comparison and choice", "[simd]") {
  const f32x16 x = iota();
  const f32x16 y = select(x < 5.0f, x * 2.0f, -x);
  for (int i = 0; i < 16; i++) CHECK(y[i] == (i < 5 ? 2.0f * i : -1.0f * i));
  CHECK(fma(x, x, x)[7] == 56.0f);
  CHECK(any(x == 15.0f));
  CHECK_FALSE(any(x == 16.0f));
  CHECK(std::isnan(max(f32x16(std::nanf("")), x)[1]));
  CHECK(std::isnan(max(x, f32x16(std::nanf("")))[1]));
  CHECK(max(x, 3.0f)[1] == 3.0f);
  CHECK(min(x, 3.0f)[9] == 3.0f);
  CHECK(std::signbit(f32x16(-0.0f)[4]));
}

TEST_CASE("vectors of integers", "[simd]") {
  const i32x16 x = to_int(iota());
  CHECK(((x << 3) | i32x16(1))[5] == 41);
  CHECK(((i32x16(0) - x) >> 1)[5] == -3);
  CHECK(shift_right_logical(i32x16(-1), 28)[2] == 15);
  CHECK(to_float(x * i32x16(3))[15] == 45.0f);
}

TEST_CASE("sums and maxima over the lanes", "[simd]") {
  CHECK(horizontal_sum(iota()) == 120.0f);
  CHECK(horizontal_max(iota() - 20.0f) == -5.0f);
  CHECK(horizontal_sum(f64x8(0.5)) == 4.0);
}

TEST_CASE("partial loads and stores touch only their elements", "[simd]") {
  for (int64_t n = 0; n <= 16; n++) {
    std::vector<float> in(static_cast<size_t>(n), 2.0f);  // exactly n: a sanitizer sees more
    const f32x16 v = load(static_cast<const float*>(in.data()), n);
    CHECK(horizontal_sum(v) == 2.0f * static_cast<float>(n));
    std::vector<bf16> out(17, bf16(7.0f));
    store(v + 1.0f, out.data(), n);
    for (int64_t i = 0; i < 17; i++)
      CHECK(static_cast<float>(out[static_cast<size_t>(i)]) == (i < n ? 3.0f : 7.0f));
  }
}

TEST_CASE("2-byte floats convert exactly and round to nearest even", "[simd]") {
  check_every_half<bf16>();
  check_every_half<f16>();
  check_rounding<bf16>();
  check_rounding<f16>();
}
