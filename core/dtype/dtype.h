// Element types, and the one place that turns a runtime type into a template argument.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "core/base/error.h"
#include "core/dtype/half.h"

namespace tenon {

enum class DType : uint8_t { f64, f32, bf16, f16, i64, i32, u8, boolean };
inline constexpr int kDTypeCount = 8;

constexpr size_t dtype_size(DType t) {
  constexpr size_t sizes[] = {8, 4, 2, 2, 8, 4, 1, 1};
  return sizes[static_cast<int>(t)];
}
constexpr std::string_view dtype_name(DType t) {
  constexpr std::string_view names[] = {"f64", "f32", "bf16", "f16", "i64", "i32", "u8", "bool"};
  return names[static_cast<int>(t)];
}
std::optional<DType> dtype_from_name(std::string_view name);

constexpr bool is_float(DType t) {
  return t <= DType::f16;
}
constexpr bool is_half(DType t) {
  return t == DType::bf16 || t == DType::f16;
}
constexpr bool is_int(DType t) {
  return t >= DType::i64 && t <= DType::u8;
}

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<bf16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<f16> {
  static constexpr DType value = DType::f16;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<bool> {
  static constexpr DType value = DType::boolean;
};
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

// The type in which a kernel accumulates sums of T: double for double, float for the other floating
// types, int64 for integers.
template <class T>
struct AccumulatorOf {
  using type = int64_t;
};
template <>
struct AccumulatorOf<double> {
  using type = double;
};
template <>
struct AccumulatorOf<float> {
  using type = float;
};
template <>
struct AccumulatorOf<bf16> {
  using type = float;
};
template <>
struct AccumulatorOf<f16> {
  using type = float;
};
template <class T>
using Accumulator = typename AccumulatorOf<T>::type;

template <class T>
struct TypeTag {
  using type = T;
};

// visit_float(dtype, "softmax", [&](auto tag) { using T = typename decltype(tag)::type; ... });
// Throws Usage naming `op` for a type that is not floating.
template <class F>
decltype(auto) visit_float(DType t, std::string_view op, F&& f) {
  switch (t) {
    case DType::f64:
      return f(TypeTag<double>{});
    case DType::f32:
      return f(TypeTag<float>{});
    case DType::bf16:
      return f(TypeTag<bf16>{});
    case DType::f16:
      return f(TypeTag<f16>{});
    default:
      throw_error(ErrorKind::Usage, "{}: dtype {} is not supported, want f64, f32, bf16 or f16", op,
                  dtype_name(t));
  }
}

template <class F>
decltype(auto) visit_all(DType t, F&& f) {
  switch (t) {
    case DType::f64:
      return f(TypeTag<double>{});
    case DType::f32:
      return f(TypeTag<float>{});
    case DType::bf16:
      return f(TypeTag<bf16>{});
    case DType::f16:
      return f(TypeTag<f16>{});
    case DType::i64:
      return f(TypeTag<int64_t>{});
    case DType::i32:
      return f(TypeTag<int32_t>{});
    case DType::u8:
      return f(TypeTag<uint8_t>{});
    case DType::boolean:
      return f(TypeTag<bool>{});
  }
  throw_error(ErrorKind::Internal, "dtype {} is out of range", static_cast<int>(t));
}

}  // namespace tenon
