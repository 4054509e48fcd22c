// The functions a pointwise functor may call, for the scalar types, in host and device code.
//
// A functor is written once as a template over V and says `using namespace tenon::math;`
//   template <class V> static V value(V x) { return x * sigmoid(x); }
// With V = float or double the calls below are found; with V = f32x16 or f64x8 (core/simd/vec.h,
// core/simd/math.h) the ones beside the vector type are, by argument-dependent lookup. Constants
// are written V(0.5f); comparisons give a mask for select(mask, a, b).
#pragma once

#include <cmath>

#include "core/dtype/half.h"

namespace tenon::math {

// a where mask, else b. Both sides are evaluated, as in vector code.
template <class T>
TENON_HD inline T select(bool mask, T a, T b) {
  return mask ? a : b;
}

#define TENON_SCALAR_1(name, std_float, std_double) \
  TENON_HD inline float name(float x) {             \
    return static_cast<float>(std_float(x));        \
  }                                                 \
  TENON_HD inline double name(double x) {           \
    return std_double(x);                           \
  }
TENON_SCALAR_1(exp, ::expf, ::exp)
TENON_SCALAR_1(log, ::logf, ::log)
TENON_SCALAR_1(log1p, ::log1pf, ::log1p)
TENON_SCALAR_1(expm1, ::expm1f, ::expm1)
TENON_SCALAR_1(tanh, ::tanhf, ::tanh)
TENON_SCALAR_1(erf, ::erff, ::erf)
TENON_SCALAR_1(sin, ::sinf, ::sin)
TENON_SCALAR_1(cos, ::cosf, ::cos)
TENON_SCALAR_1(sqrt, ::sqrtf, ::sqrt)
TENON_SCALAR_1(floor, ::floorf, ::floor)
TENON_SCALAR_1(abs, ::fabsf, ::fabs)
#undef TENON_SCALAR_1

TENON_HD inline float pow(float x, float y) {
  return ::powf(x, y);
}
TENON_HD inline double pow(double x, double y) {
  return ::pow(x, y);
}

// Each of these is one formula for both widths; a template would also catch the vector types.
#define TENON_SCALAR_BOTH(ret_expr, name) \
  TENON_HD inline float name(float x) {   \
    using T = float;                      \
    return ret_expr;                      \
  }                                       \
  TENON_HD inline double name(double x) { \
    using T = double;                     \
    return ret_expr;                      \
  }
TENON_SCALAR_BOTH(T(1) / sqrt(x), rsqrt)
TENON_SCALAR_BOTH(T(1) / (T(1) + exp(-x)), sigmoid)
#undef TENON_SCALAR_BOTH

// a * b + c, fused where the target fuses.
TENON_HD inline float fma(float a, float b, float c) {
  return a * b + c;
}
TENON_HD inline double fma(double a, double b, double c) {
  return a * b + c;
}

// NaN if either is NaN, as PyTorch's maximum and minimum.
TENON_HD inline float max(float a, float b) {
  return a > b || a != a ? a : b;
}
TENON_HD inline double max(double a, double b) {
  return a > b || a != a ? a : b;
}
TENON_HD inline float min(float a, float b) {
  return a < b || a != a ? a : b;
}
TENON_HD inline double min(double a, double b) {
  return a < b || a != a ? a : b;
}

}  // namespace tenon::math
