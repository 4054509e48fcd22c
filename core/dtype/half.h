// 2-byte floating-point types, valid in host and device code. Storage types only: arithmetic is
// done after conversion to float (every kernel accumulates in float or double).
#pragma once

#include <cstdint>
#include <cstring>

#include "core/base/host_device.h"

namespace tenon {

namespace detail {
template <class To, class From>
TENON_HD inline To bit_cast(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  memcpy(&to, &from, sizeof(To));
  return to;
}
}  // namespace detail

// bfloat16: the upper half of an IEEE binary32. Conversion rounds to nearest even and keeps NaN.
struct bf16 {
  uint16_t bits = 0;
  bf16() = default;
  TENON_HD bf16(float value) {
    uint32_t u = detail::bit_cast<uint32_t>(value);
    if ((u & 0x7fffffffu) > 0x7f800000u)
      bits = static_cast<uint16_t>((u >> 16) | 0x40u);  // quiet NaN, payload kept
    else
      bits = static_cast<uint16_t>((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
  }
  TENON_HD operator float() const {
    return detail::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
  }
};

// IEEE binary16. Conversion rounds to nearest even; overflow gives infinity, subnormals are exact.
struct f16 {
  uint16_t bits = 0;
  f16() = default;
  TENON_HD f16(float value) {
    const uint32_t u = detail::bit_cast<uint32_t>(value);
    const uint32_t sign = (u >> 16) & 0x8000u;
    const uint32_t mag = u & 0x7fffffffu;
    uint32_t out;
    if (mag > 0x7f800000u) {
      out = 0x7e00u | ((mag >> 13) & 0x3ffu);
    } else if (mag >= 0x477ff000u) {  // rounds to 65536 or more
      out = 0x7c00u;
    } else if (mag < 0x38800000u) {  // subnormal or zero: let the float adder do the rounding
      const float scaled = detail::bit_cast<float>(mag) + 0.5f;
      out = detail::bit_cast<uint32_t>(scaled) - 0x3f000000u;
    } else {
      out = ((mag + 0xfffu + ((mag >> 13) & 1u)) >> 13) - (112u << 10);
    }
    bits = static_cast<uint16_t>(sign | out);
  }
  TENON_HD operator float() const {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
    const uint32_t exponent = (bits >> 10) & 0x1fu, mantissa = bits & 0x3ffu;
    if (exponent == 31) return detail::bit_cast<float>(sign | 0x7f800000u | (mantissa << 13));
    if (exponent == 0) {
      const float magnitude = static_cast<float>(mantissa) * 5.9604644775390625e-8f;  // 2^-24
      return sign ? -magnitude : magnitude;
    }
    return detail::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
  }
};

}  // namespace tenon
