// Elementary functions of f32x16 (own polynomials, within about 2 units in the last place, right
// for infinities, NaN and subnormals unless said) and of f64x8 (lane by lane through the C
// library).
//
// The coefficients are Chebyshev interpolants of the functions named beside them, fitted in
// 40-digit arithmetic on the reduced ranges.
#pragma once

#include <limits>

#include "core/simd/vec.h"

namespace tenon::TENON_TARGET {

namespace detail {

TENON_INLINE f32x16 polynomial(const f32x16&, const f32x16& sum) {
  return sum;
}
// Horner: sum * x + next ...
template <class... Rest>
TENON_INLINE f32x16 polynomial(const f32x16& x, const f32x16& sum, float next, Rest... rest) {
  return polynomial(x, fma(sum, x, f32x16(next)), rest...);
}

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

// Nearest integer for |x| < 2^22.
TENON_INLINE f32x16 round_small(const f32x16& x) {
  const f32x16 magic(12582912.0f);  // 1.5 * 2^23
  return (x + magic) - magic;
}

// 2^n for integer n in [-126, 127].
TENON_INLINE f32x16 exp2_int(const i32x16& n) {
  return bits_as<f32x16>((n + i32x16(127)) << 23);
}

// min(max(x, low), high) where a NaN in x stays one: a single instruction each on x86, against four
// for min() and max().
TENON_INLINE f32x16 clamp(const f32x16& x, float low, float high) {
#if defined(__AVX512F__)
  f32x16 r;
  r.part[0] = _mm512_maskz_max_ps(0xffff, _mm512_set1_ps(low), x.part[0]);
  r.part[0] = _mm512_maskz_min_ps(0xffff, _mm512_set1_ps(high), r.part[0]);
  return r;
#elif defined(__AVX__)
  f32x16 r;
  for (int i = 0; i < f32x16::parts; i++)
    r.part[i] = _mm256_min_ps(_mm256_set1_ps(high), _mm256_max_ps(_mm256_set1_ps(low), x.part[i]));
  return r;
#else
  return select(x < low, f32x16(low), select(x > high, f32x16(high), x));
#endif
}

// x = n ln2 + r with |r| <= ln2 / 2.
struct ExpParts {
  i32x16 n;
  f32x16 r;
};
TENON_INLINE ExpParts reduce_exp(const f32x16& x) {
  const f32x16 n = round_small(x * f32x16(1.44269504f));
  f32x16 r = fma(n, f32x16(-0.693359375f), x);  // few bits: the product is exact
  r = fma(n, f32x16(2.12194440e-4f), r);
  return {to_int(n), r};
}

// exp(r) - 1 on |r| <= ln2 / 2
TENON_INLINE f32x16 expm1_reduced(const f32x16& r) {
  const f32x16 p =
      polynomial(r, 0.001392625083f, 0.008363232884f, 0.04166655421f, 0.1666657667f, 0.5f);
  return fma(p * r, r, r);
}

}  // namespace detail

TENON_INLINE f32x16 exp(const f32x16& x) {
  const auto [n, r] = detail::reduce_exp(detail::clamp(x, -104.0f, 89.0f));
  // Two factors: n may lie outside the exponent range, for subnormal results and for infinity.
  const i32x16 half = n >> 1;
  const f32x16 y = detail::expm1_reduced(r) + 1.0f;
  return y * detail::exp2_int(half) * detail::exp2_int(n - half);
}

TENON_INLINE f32x16 expm1(const f32x16& x) {
  const auto [n, r] = detail::reduce_exp(detail::clamp(x, -30.0f, 88.0f));
  const f32x16 scale = detail::exp2_int(n);
  f32x16 result = fma(detail::expm1_reduced(r), scale, scale - 1.0f);
  result = select(abs(x) < 1e-7f, x, result);  // keeps -0 and subnormals
  result = select(x > 88.0f, exp(x), result);
  return select(x != x, x, result);
}

TENON_INLINE f32x16 log(const f32x16& x) {
  const auto tiny = x < std::numeric_limits<float>::min();
  const f32x16 scaled = select(tiny, x * 8388608.0f, x);  // 2^23: subnormals become normal
  const i32x16 bits = bits_as<i32x16>(scaled);
  // Mantissa in [sqrt(1/2), sqrt(2)): subtract the bits of sqrt(1/2) before taking the exponent.
  const i32x16 shifted = bits - i32x16(0x3f3504f3);
  const i32x16 exponent = shifted >> 23;
  const f32x16 m = bits_as<f32x16>(bits - (exponent << 23));
  const f32x16 e = to_float(exponent) - select(tiny, f32x16(23.0f), f32x16(0.0f));
  const f32x16 f = m - 1.0f;
  const f32x16 q = detail::polynomial(f, 0.06971611471f, -0.1147973385f, 0.1168541992f,
                                      -0.1242568733f, 0.1424905765f, -0.1666780232f, 0.2000071575f,
                                      -0.2499999696f, 0.3333333118f);
  const f32x16 f2 = f * f;
  f32x16 result = fma(f2 * f, q, e * -2.12194440e-4f);
  result = fma(f2, f32x16(-0.5f), result);
  result = fma(e, f32x16(0.693359375f), f + result);
  result = select(x == 0.0f, f32x16(-detail::kInf), result);
  result = select(x < 0.0f, f32x16(detail::kNaN), result);
  return select((x == detail::kInf) | (x != x), x, result);
}

TENON_INLINE f32x16 log1p(const f32x16& x) {
  const f32x16 u = x + 1.0f;
  const f32x16 lost = (x - (u - 1.0f)) / u;  // what the rounding of 1 + x dropped
  f32x16 result = log(u) + lost;
  result = select(abs(x) < 1e-7f, x, result);
  return select((x <= -1.0f) | (x == detail::kInf), log(u), result);
}

TENON_INLINE f32x16 tanh(const f32x16& x) {
  const f32x16 a = abs(x), z = x * x;
  const f32x16 p = detail::polynomial(z, -0.006096714166f, 0.020997179f, -0.05385090958f,
                                      0.1333276974f, -0.3333332894f);
  const f32x16 near_zero = fma(p * z, x, x);
  const f32x16 far = f32x16(1.0f) - f32x16(2.0f) / (exp(a + a) + 1.0f);
  return copysign(select(a < 0.625f, near_zero, far), x);  // -0 too
}

// Results below about 2^-127 (x < -88) are zero.
TENON_INLINE f32x16 sigmoid(const f32x16& x) {
  // exp(-x) by one factor: 2^128 has the bits of infinity, and below 2^-126 the 1 swallows it.
  const auto [n, r] = detail::reduce_exp(detail::clamp(-x, -87.0f, 89.0f));
  const f32x16 e = fma(detail::expm1_reduced(r), detail::exp2_int(n), detail::exp2_int(n));
  return f32x16(1.0f) / (e + 1.0f);
}

TENON_INLINE f32x16 erf(const f32x16& x) {
  const f32x16 a = abs(x), z = x * x;
  const f32x16 p =
      detail::polynomial(z, 8.334718615e-5f, -0.0008134709332f, 0.005200368587f, -0.02685915147f,
                         0.1128369152f, -0.3761263352f, 0.1283791666f);
  const f32x16 near_zero = fma(p, x, x);
  // -log(erfc(t)) on [0.92, 4]; beyond 4, erf rounds to 1.
  const f32x16 t = min(a, 4.0f);
  const f32x16 q = detail::polynomial(t, -1.643569654e-6f, 4.617791279e-5f, -0.000597743472f,
                                      0.004763575249f, -0.0264310176f, 0.1100944808f, 0.6318145167f,
                                      1.130237616f, -0.0003204415313f);
  const f32x16 far = f32x16(1.0f) - exp(-q);
  return select(a < 0.93f, near_zero, select(x != x, x, copysign(far, x)));
}

namespace detail {

// sin for shift 0, cos for shift 1: quarter turns are counted, then one of two polynomials serves.
TENON_INLINE f32x16 sin_cos(const f32x16& x, int shift) {
  const f32x16 quarter = round_small(x * 0.636619772f);
  // pi / 2 in four pieces, the first three of 11 bits or fewer: products are exact to 2^13.
  f32x16 r = fma(quarter, f32x16(-1.5703125f), x);
  r = fma(quarter, f32x16(-4.83512878e-4f), r);
  r = fma(quarter, f32x16(-3.13855708e-7f), r);
  r = fma(quarter, f32x16(-6.07710046e-11f), r);
  const i32x16 n = to_int(quarter) + i32x16(shift);
  const f32x16 z = r * r;
  const f32x16 s =
      polynomial(z, 2.724931405e-6f, -0.0001984008201f, 0.008333331866f, -0.1666666666f);
  const f32x16 c =
      polynomial(z, -2.730044862e-7f, 2.480059644e-5f, -0.001388888766f, 0.04166666666f);
  const f32x16 sine = fma(s * z, r, r);
  const f32x16 cosine = fma(c * z, z, fma(z, f32x16(-0.5f), f32x16(1.0f)));
  const f32x16 y = select((n & i32x16(1)) != i32x16(0), cosine, sine);
  return bits_as<f32x16>(bits_as<i32x16>(y) ^ ((n & i32x16(2)) << 30));
}

template <class V, class F>
TENON_INLINE V by_lane(const V& x, F&& f) {
  V r;
  for (int i = 0; i < V::size; i++) r.set(i, f(x[i]));
  return r;
}

}  // namespace detail

// Lanes with |x| > 8192 need more digits of pi; they go through the C library.
TENON_INLINE f32x16 sin(const f32x16& x) {
  if (any(~(abs(x) <= 8192.0f))) [[unlikely]]
    return detail::by_lane(x, [](float v) { return math::sin(v); });
  return select(x == 0.0f, x, detail::sin_cos(x, 0));  // keeps -0
}
TENON_INLINE f32x16 cos(const f32x16& x) {
  if (any(~(abs(x) <= 8192.0f))) [[unlikely]]
    return detail::by_lane(x, [](float v) { return math::cos(v); });
  return detail::sin_cos(x, 1);
}

template <class E, int N>
TENON_INLINE Vec<E, N> pow(const Vec<E, N>& x, const Vec<E, N>& y) {
  Vec<E, N> r;
  for (int i = 0; i < N; i++) r.set(i, math::pow(x[i], y[i]));
  return r;
}

#define TENON_BY_LANE(name)                                            \
  TENON_INLINE f64x8 name(const f64x8& x) {                            \
    return detail::by_lane(x, [](double v) { return math::name(v); }); \
  }
TENON_BY_LANE(exp)
TENON_BY_LANE(expm1)
TENON_BY_LANE(log)
TENON_BY_LANE(log1p)
TENON_BY_LANE(tanh)
TENON_BY_LANE(sigmoid)
TENON_BY_LANE(erf)
TENON_BY_LANE(sin)
TENON_BY_LANE(cos)
#undef TENON_BY_LANE

}  // namespace tenon::TENON_TARGET
