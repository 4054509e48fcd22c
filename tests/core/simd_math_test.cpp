// The vector functions against the C library in double, over dense sweeps of all floats.
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "core/simd/math.h"
#include "tests/support/catch.h"

using namespace tenon::TENON_TARGET;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

// |got - want| in units of the last place of want as a float.
double ulps(float got, double want) {
  const float w = static_cast<float>(want);
  if (std::isnan(want)) return std::isnan(got) ? 0 : 1e9;
  if (std::isinf(w)) return got == w ? 0 : 1e9;
  const float a = std::fabs(w);
  const float up = std::nextafter(a, kInf);
  const double unit = std::isinf(up) ? static_cast<double>(a) - std::nextafter(a, 0.0f)
                                     : static_cast<double>(up) - a;
  return std::fabs(static_cast<double>(got) - want) / unit;
}

// Largest error over every 4099th float in [low, high], 20,000 even steps, and the special values.
template <class F, class G>
double worst_error(F&& vector, G&& exact, float low, float high) {
  std::vector<float> points = {0.0f, -0.0f, 1.0f, -1.0f, kInf, -kInf};
  for (uint64_t bits = 0; bits < 0x100000000ull; bits += 4099) {
    float x;
    const auto u = static_cast<uint32_t>(bits);
    memcpy(&x, &u, sizeof(x));
    points.push_back(x);
  }
  const float from = std::max(low, -30.0f), to = std::min(high, 30.0f);
  for (int i = 0; i <= 20000; i++)
    points.push_back(from + (to - from) * static_cast<float>(i) / 20000);
  std::vector<float> kept = {std::nanf("")};
  for (const float x : points)
    if (x >= low && x <= high) kept.push_back(x);
  while (kept.size() % 16) kept.push_back(kept.back());
  double worst = 0;
  for (size_t i = 0; i < kept.size(); i += 16) {
    float out[16];
    store(vector(load(kept.data() + i)), static_cast<float*>(out));
    for (size_t l = 0; l < 16; l++)
      worst = std::max(worst, ulps(out[l], exact(static_cast<double>(kept[i + l]))));
  }
  return worst;
}

}  // namespace

#define ERROR_OF(name, low, high)                                                                  \
  worst_error([](const f32x16& x) { return name(x); }, [](double x) { return std::name(x); }, low, \
              high)

TEST_CASE("vector functions are within 2.5 ulp everywhere", "[simd]") {
  CHECK(ERROR_OF(exp, -kInf, kInf) < 1.5);
  CHECK(ERROR_OF(expm1, -kInf, kInf) < 2);
  CHECK(ERROR_OF(log, -kInf, kInf) < 1.5);
  CHECK(ERROR_OF(log1p, -kInf, kInf) < 2);
  CHECK(ERROR_OF(tanh, -kInf, kInf) < 2);
  CHECK(ERROR_OF(erf, -kInf, kInf) < 2);
  CHECK(ERROR_OF(sin, -kInf, kInf) < 2.5);
  CHECK(ERROR_OF(cos, -kInf, kInf) < 2.5);
  CHECK(ERROR_OF(sqrt, -kInf, kInf) < 0.51);
  CHECK(ERROR_OF(floor, -kInf, kInf) == 0);
  CHECK(ERROR_OF(abs, -kInf, kInf) == 0);
  CHECK(worst_error([](const f32x16& x) { return sigmoid(x); },
                    [](double x) { return 1 / (1 + std::exp(-x)); }, -87.0f, kInf) < 3);
  CHECK(worst_error([](const f32x16& x) { return rsqrt(x); },
                    [](double x) { return 1 / std::sqrt(x); }, std::numeric_limits<float>::min(),
                    kInf) < 1.5);
}

TEST_CASE("signs and limits of vector functions", "[simd]") {
  const auto at = [](const f32x16& v) { return v[3]; };
  CHECK(std::signbit(at(tanh(f32x16(-0.0f)))));
  CHECK(std::signbit(at(sin(f32x16(-0.0f)))));
  CHECK(std::signbit(at(expm1(f32x16(-0.0f)))));
  CHECK(at(exp(f32x16(-kInf))) == 0.0f);
  CHECK(at(log(f32x16(0.0f))) == -kInf);
  CHECK(std::isnan(at(log(f32x16(-1.0f)))));
  CHECK(at(pow(f32x16(2.0f), f32x16(10.0f))) == 1024.0f);
  CHECK(at(copysign(f32x16(3.0f), f32x16(-0.0f))) == -3.0f);
}

TEST_CASE("vectors of double go through the C library", "[simd]") {
  const f64x8 x(0.7);
  CHECK(exp(x)[5] == std::exp(0.7));
  CHECK(erf(x)[0] == std::erf(0.7));
  CHECK(sqrt(x)[7] == std::sqrt(0.7));
  CHECK(floor(f64x8(-0.5))[2] == -1.0);
  CHECK(abs(f64x8(-0.5))[2] == 0.5);
}
