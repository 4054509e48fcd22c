// 16-lane vectors over GCC/clang vector extensions: one source for SSE2, AVX2 and AVX-512.
//
// f32x16, i32x16 (16 lanes) and f64x8, i64x8 (8 lanes) are structs of native registers: one on
// AVX-512, two on AVX2, four on baseline x86-64. (A single 64-byte vector_size type would live in
// memory on the smaller targets.) Comparisons give a mask of the integer type with the same lane
// width, all bits set where true. Every function is force-inlined, so no vector crosses a call.
#pragma once

#include <cstdint>
#include <cstring>

#include "core/dtype/half.h"
#include "core/simd/scalar.h"
#include "core/simd/target.h"

#if defined(__AVX__)
// Of the AVX-512 intrinsics the maskz_ forms are used: g++ 12 warns about an uninitialised value
// inside the plain ones.
#include <immintrin.h>
#endif

namespace tenon::TENON_TARGET {

#if defined(__AVX512F__)
inline constexpr int kRegisterBytes = 64;
#elif defined(__AVX__)
inline constexpr int kRegisterBytes = 32;
#else
inline constexpr int kRegisterBytes = 16;
#endif

template <class E>
struct MaskElement;
template <>
struct MaskElement<float> {
  using type = int32_t;
};
template <>
struct MaskElement<int32_t> {
  using type = int32_t;
};
template <>
struct MaskElement<double> {
  using type = int64_t;
};
template <>
struct MaskElement<int64_t> {
  using type = int64_t;
};

template <class E>
struct WrappingElement {
  using type = E;
};
template <>
struct WrappingElement<int32_t> {
  using type = uint32_t;
};
template <>
struct WrappingElement<int64_t> {
  using type = uint64_t;
};

// N lanes of E.
template <class E, int N>
struct Vec {
  using Element = E;
  typedef E Native __attribute__((vector_size(kRegisterBytes)));
  // Integers wrap around: their sums are made in the unsigned type, where that is defined.
  typedef typename WrappingElement<E>::type Wrapping __attribute__((vector_size(kRegisterBytes)));
  using Mask = Vec<typename MaskElement<E>::type, N>;
  static constexpr int size = N;
  static constexpr int parts = N * static_cast<int>(sizeof(E)) / kRegisterBytes;
  static constexpr int lanes = N / parts;  // per register

  Native part[parts];

  Vec() = default;
  TENON_INLINE Vec(E value) {
    for (int i = 0; i < parts; i++) part[i] = value - Native{};
  }

  TENON_INLINE E operator[](int lane) const { return part[lane / lanes][lane % lanes]; }
  TENON_INLINE void set(int lane, E value) { part[lane / lanes][lane % lanes] = value; }

#define TENON_VEC_BINARY(op, As)                                                    \
  friend TENON_INLINE Vec operator op(const Vec& a, const Vec& b) {                 \
    Vec r;                                                                          \
    for (int i = 0; i < parts; i++)                                                 \
      r.part[i] = reinterpret_cast<Native>(reinterpret_cast<As>(a.part[i])          \
                                               op reinterpret_cast<As>(b.part[i])); \
    return r;                                                                       \
  }                                                                                 \
  friend TENON_INLINE Vec& operator op##=(Vec& a, const Vec& b) {                   \
    return a = a op b;                                                              \
  }
  TENON_VEC_BINARY(+, Wrapping)
  TENON_VEC_BINARY(-, Wrapping)
  TENON_VEC_BINARY(*, Wrapping)
  TENON_VEC_BINARY(/, Native)
#undef TENON_VEC_BINARY

#define TENON_VEC_COMPARE(op)                                                      \
  friend TENON_INLINE Mask operator op(const Vec& a, const Vec& b) {               \
    Mask r;                                                                        \
    for (int i = 0; i < parts; i++)                                                \
      r.part[i] = reinterpret_cast<typename Mask::Native>(a.part[i] op b.part[i]); \
    return r;                                                                      \
  }
  TENON_VEC_COMPARE(<)
  TENON_VEC_COMPARE(<=)
  TENON_VEC_COMPARE(>)
  TENON_VEC_COMPARE(>=)
  TENON_VEC_COMPARE(==)
  TENON_VEC_COMPARE(!=)
#undef TENON_VEC_COMPARE

  friend TENON_INLINE Vec operator-(const Vec& a) {
    Vec r;
    for (int i = 0; i < parts; i++) r.part[i] = -a.part[i];
    return r;
  }
};

using f32x16 = Vec<float, 16>;
using i32x16 = Vec<int32_t, 16>;
using f64x8 = Vec<double, 8>;
using i64x8 = Vec<int64_t, 8>;

// Bit operations, for the integer vectors and so for masks.
#define TENON_VEC_BITS(op)                                                         \
  template <class E, int N>                                                        \
  requires(E(0.5) == E(0)) TENON_INLINE Vec<E, N>                                  \
  operator op(const Vec<E, N>& a, const Vec<E, N>& b) {                            \
    Vec<E, N> r;                                                                   \
    for (int i = 0; i < Vec<E, N>::parts; i++) r.part[i] = a.part[i] op b.part[i]; \
    return r;                                                                      \
  }
TENON_VEC_BITS(&)
TENON_VEC_BITS(|)
TENON_VEC_BITS(^)
#undef TENON_VEC_BITS

template <class E, int N>
TENON_INLINE Vec<E, N> operator~(const Vec<E, N>& a) {
  Vec<E, N> r;
  for (int i = 0; i < Vec<E, N>::parts; i++) r.part[i] = ~a.part[i];
  return r;
}

TENON_INLINE i32x16 operator<<(const i32x16& a, int count) {
  i32x16 r;
  for (int i = 0; i < i32x16::parts; i++) r.part[i] = a.part[i] << count;
  return r;
}

// Arithmetic shift: the sign bit is copied.
TENON_INLINE i32x16 operator>>(const i32x16& a, int count) {
  i32x16 r;
  for (int i = 0; i < i32x16::parts; i++) r.part[i] = a.part[i] >> count;
  return r;
}

// Logical shift: zeros come in.
TENON_INLINE i32x16 shift_right_logical(const i32x16& a, int count) {
  typedef uint32_t Unsigned __attribute__((vector_size(kRegisterBytes)));
  i32x16 r;
  for (int i = 0; i < i32x16::parts; i++)
    r.part[i] = reinterpret_cast<i32x16::Native>(reinterpret_cast<Unsigned>(a.part[i]) >> count);
  return r;
}

// The same bits as another type of the same width.
template <class To, class E, int N>
TENON_INLINE To bits_as(const Vec<E, N>& a) {
  static_assert(sizeof(To) == sizeof(a));
  To r;
  for (int i = 0; i < To::parts; i++) r.part[i] = reinterpret_cast<typename To::Native>(a.part[i]);
  return r;
}

TENON_INLINE f32x16 to_float(const i32x16& a) {
  f32x16 r;
  for (int i = 0; i < f32x16::parts; i++)
    r.part[i] = __builtin_convertvector(a.part[i], f32x16::Native);
  return r;
}

// Truncates; lanes outside the int32 range give an unspecified value.
TENON_INLINE i32x16 to_int(const f32x16& a) {
  i32x16 r;
  for (int i = 0; i < f32x16::parts; i++)
    r.part[i] = __builtin_convertvector(a.part[i], i32x16::Native);
  return r;
}

// a where mask, else b.
template <class E, int N>
TENON_INLINE Vec<E, N> select(const typename Vec<E, N>::Mask& mask, const Vec<E, N>& a,
                              const Vec<E, N>& b) {
  Vec<E, N> r;
  for (int i = 0; i < Vec<E, N>::parts; i++) r.part[i] = mask.part[i] ? a.part[i] : b.part[i];
  return r;
}

template <class M>
requires(sizeof(M) == 64) TENON_INLINE bool any(const M& mask) {
  typename M::Native all = mask.part[0];
  for (int i = 1; i < M::parts; i++) all |= mask.part[i];
  int64_t words[kRegisterBytes / 8];
  memcpy(words, &all, kRegisterBytes);
  int64_t sum = 0;
  for (int64_t word : words) sum |= word;
  return sum != 0;
}

// NaN if either is NaN.
template <class E, int N>
TENON_INLINE Vec<E, N> max(const Vec<E, N>& a, const Vec<E, N>& b) {
  return select((a > b) | (a != a), a, b);
}
template <class E, int N>
TENON_INLINE Vec<E, N> min(const Vec<E, N>& a, const Vec<E, N>& b) {
  return select((a < b) | (a != a), a, b);
}
template <class E, int N>
TENON_INLINE Vec<E, N> max(const Vec<E, N>& a, E b) {
  return max(a, Vec<E, N>(b));
}
template <class E, int N>
TENON_INLINE Vec<E, N> min(const Vec<E, N>& a, E b) {
  return min(a, Vec<E, N>(b));
}

TENON_INLINE f32x16 abs(const f32x16& a) {
  return bits_as<f32x16>(bits_as<i32x16>(a) & i32x16(0x7fffffff));
}
TENON_INLINE f64x8 abs(const f64x8& a) {
  return bits_as<f64x8>(bits_as<i64x8>(a) & i64x8(0x7fffffffffffffff));
}

// The magnitude of a with the sign bit of b.
TENON_INLINE f32x16 copysign(const f32x16& a, const f32x16& b) {
  const i32x16 sign = bits_as<i32x16>(b) & i32x16(INT32_MIN);
  return bits_as<f32x16>(bits_as<i32x16>(abs(a)) | sign);
}

// a * b + c, fused where the target fuses.
template <class E, int N>
TENON_INLINE Vec<E, N> fma(const Vec<E, N>& a, const Vec<E, N>& b, const Vec<E, N>& c) {
  Vec<E, N> r;
  for (int i = 0; i < Vec<E, N>::parts; i++) r.part[i] = a.part[i] * b.part[i] + c.part[i];
  return r;
}

TENON_INLINE f32x16 sqrt(const f32x16& a) {
  f32x16 r;
  for (int i = 0; i < f32x16::parts; i++) {
#if defined(__AVX512F__)
    r.part[i] = _mm512_maskz_sqrt_ps(0xffff, a.part[i]);
#elif defined(__AVX__)
    r.part[i] = _mm256_sqrt_ps(a.part[i]);
#else
    for (int k = 0; k < f32x16::lanes; k++) r.part[i][k] = __builtin_sqrtf(a.part[i][k]);
#endif
  }
  return r;
}

TENON_INLINE f64x8 sqrt(const f64x8& a) {
  f64x8 r;
  for (int i = 0; i < f64x8::parts; i++) {
#if defined(__AVX512F__)
    r.part[i] = _mm512_maskz_sqrt_pd(0xff, a.part[i]);
#elif defined(__AVX__)
    r.part[i] = _mm256_sqrt_pd(a.part[i]);
#else
    for (int k = 0; k < f64x8::lanes; k++) r.part[i][k] = __builtin_sqrt(a.part[i][k]);
#endif
  }
  return r;
}

template <class E, int N>
requires(E(0.5) != E(0)) TENON_INLINE Vec<E, N> rsqrt(const Vec<E, N>& a) {
  return Vec<E, N>(1) / sqrt(a);
}

TENON_INLINE f32x16 floor(const f32x16& a) {
  f32x16 r;
  for (int i = 0; i < f32x16::parts; i++) {
#if defined(__AVX512F__)
    r.part[i] = _mm512_maskz_roundscale_ps(0xffff, a.part[i], 9);
#elif defined(__AVX__)
    r.part[i] = _mm256_floor_ps(a.part[i]);
#else
    for (int k = 0; k < f32x16::lanes; k++) r.part[i][k] = __builtin_floorf(a.part[i][k]);
#endif
  }
  return r;
}

TENON_INLINE f64x8 floor(const f64x8& a) {
  f64x8 r;
  for (int i = 0; i < f64x8::parts; i++) {
#if defined(__AVX512F__)
    r.part[i] = _mm512_maskz_roundscale_pd(0xff, a.part[i], 9);
#elif defined(__AVX__)
    r.part[i] = _mm256_floor_pd(a.part[i]);
#else
    for (int k = 0; k < f64x8::lanes; k++) r.part[i][k] = __builtin_floor(a.part[i][k]);
#endif
  }
  return r;
}

// Sum and maximum over the lanes, always in the same order (pairwise halves), so the result is the
// same for every target.
template <class E, int N>
TENON_INLINE E horizontal_sum(const Vec<E, N>& a) {
  E lane[N];
  memcpy(lane, &a, sizeof(a));
  for (int width = N / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lane[i] += lane[i + width];
  return lane[0];
}
template <class E, int N>
TENON_INLINE E horizontal_max(const Vec<E, N>& a) {
  E lane[N];
  memcpy(lane, &a, sizeof(a));
  for (int width = N / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lane[i] = math::max(lane[i], lane[i + width]);
  return lane[0];
}

// ---- memory -------------------------------------------------------------------------------------
// load(p) and store(v, p) need no alignment; the forms with a count touch only the first n elements
// (0 <= n <= size) and load zero in the others. 2-byte types become float.

namespace detail {
// Register by register: one copy of the whole struct would go through the stack.
template <class V>
TENON_INLINE V load_parts(const typename V::Element* p) {
  V r;
  for (int i = 0; i < V::parts; i++) memcpy(&r.part[i], p + i * V::lanes, kRegisterBytes);
  return r;
}
}  // namespace detail

TENON_INLINE f32x16 load(const float* p) {
  return detail::load_parts<f32x16>(p);
}
TENON_INLINE f64x8 load(const double* p) {
  return detail::load_parts<f64x8>(p);
}
TENON_INLINE i32x16 load(const int32_t* p) {
  return detail::load_parts<i32x16>(p);
}

template <class E, int N>
TENON_INLINE void store(const Vec<E, N>& v, E* p) {
  for (int i = 0; i < v.parts; i++) memcpy(p + i * v.lanes, &v.part[i], kRegisterBytes);
}

TENON_INLINE f32x16 load(const bf16* p) {
  typedef uint16_t Half __attribute__((vector_size(kRegisterBytes / 2)));
  typedef uint32_t Full __attribute__((vector_size(kRegisterBytes)));
  f32x16 r;
  for (int i = 0; i < f32x16::parts; i++) {
    Half half;
    memcpy(&half, p + i * f32x16::lanes, sizeof(half));
    r.part[i] = reinterpret_cast<f32x16::Native>(__builtin_convertvector(half, Full) << 16);
  }
  return r;
}

// Round to nearest even; a NaN stays a (quiet) NaN.
TENON_INLINE void store(const f32x16& v, bf16* p) {
  typedef uint32_t Full __attribute__((vector_size(kRegisterBytes)));
  for (int i = 0; i < f32x16::parts; i++) {
    const Full u = reinterpret_cast<Full>(v.part[i]);
    const Full rounded = u + (0x7fffu + ((u >> 16) & 1u));
    const Full is_nan = reinterpret_cast<Full>(v.part[i] != v.part[i]);
    const Full out = ((rounded & ~is_nan) | ((u | 0x400000u) & is_nan)) >> 16;
#if defined(__AVX2__) && !defined(__AVX512F__)
    // packus works within 128-bit halves; the permutation puts the quarters back in order.
    const __m256i packed =
        _mm256_packus_epi32(reinterpret_cast<__m256i>(out), reinterpret_cast<__m256i>(out));
    const __m128i half =
        _mm256_castsi256_si128(_mm256_permute4x64_epi64(packed, _MM_SHUFFLE(3, 1, 2, 0)));
#else
    typedef uint16_t Half __attribute__((vector_size(kRegisterBytes / 2)));
    const Half half = __builtin_convertvector(out, Half);
#endif
    memcpy(static_cast<void*>(p + i * f32x16::lanes), &half, sizeof(half));
  }
}

TENON_INLINE f32x16 load(const f16* p) {
  f32x16 r;
#if defined(__AVX512F__)
  __m256i half;
  memcpy(&half, p, sizeof(half));
  r.part[0] = _mm512_maskz_cvtph_ps(0xffff, half);
#elif defined(__F16C__)
  for (int i = 0; i < f32x16::parts; i++) {
    __m128i half;
    memcpy(&half, p + 8 * i, sizeof(half));
    r.part[i] = _mm256_cvtph_ps(half);
  }
#else
  float lane[16];
  for (int i = 0; i < 16; i++) lane[i] = p[i];
  memcpy(&r, lane, sizeof(r));
#endif
  return r;
}

TENON_INLINE void store(const f32x16& v, f16* p) {
#if defined(__AVX512F__)
  const __m256i half = _mm512_maskz_cvtps_ph(0xffff, v.part[0], _MM_FROUND_TO_NEAREST_INT);
  memcpy(static_cast<void*>(p), &half, sizeof(half));
#elif defined(__F16C__)
  for (int i = 0; i < f32x16::parts; i++) {
    const __m128i half = _mm256_cvtps_ph(v.part[i], _MM_FROUND_TO_NEAREST_INT);
    memcpy(static_cast<void*>(p + 8 * i), &half, sizeof(half));
  }
#else
  float lane[16];
  memcpy(lane, &v, sizeof(v));
  for (int i = 0; i < 16; i++) p[i] = f16(lane[i]);
#endif
}

// The vector in which elements of type T are computed: f64x8 for double, f32x16 for the others.
template <class T>
struct VecFor {
  using type = f32x16;
};
template <>
struct VecFor<double> {
  using type = f64x8;
};
template <class T>
using vec_for = typename VecFor<T>::type;

template <class T>
TENON_INLINE vec_for<T> load(const T* p, int64_t n) {
  using V = vec_for<T>;
  if (n >= V::size) return load(p);
  T buffer[V::size];
  memset(static_cast<void*>(buffer), 0, sizeof(buffer));
  if (n > 0) memcpy(static_cast<void*>(buffer), p, static_cast<size_t>(n) * sizeof(T));
  return load(static_cast<const T*>(buffer));
}

template <class T>
TENON_INLINE void store(const vec_for<T>& v, T* p, int64_t n) {
  using V = vec_for<T>;
  if (n >= V::size) return store(v, p);
  T buffer[V::size];
  store(v, static_cast<T*>(buffer));
  if (n > 0) memcpy(static_cast<void*>(p), buffer, static_cast<size_t>(n) * sizeof(T));
}

}  // namespace tenon::TENON_TARGET
