#include <cmath>
#include <limits>

#include "core/tensor/tensor.h"
#include "tests/support/catch.h"

using namespace tenon;

TEST_CASE("tensor: shapes, strides and views", "[tensor]") {
  const Tensor t = Tensor::from(std::vector<float>{0, 1, 2, 3, 4, 5}, {2, 3});
  CHECK(t.describe() == "f32 [2, 3]");
  CHECK(t.size(-1) == 3);
  CHECK(t.is_contiguous());
  const Tensor column = t.narrow_view(1, 1, 1);
  CHECK_FALSE(column.is_contiguous());
  CHECK(column.to_vector<float>() == std::vector<float>{1, 4});
  CHECK(column.storage() == t.storage());
  CHECK(to_string(t) == "[[0, 1, 2], [3, 4, 5]]");
  REQUIRE_ERROR(t.size(2), ErrorKind::Usage, "dim 2");
  REQUIRE_ERROR(t.narrow_view(1, 2, 2), ErrorKind::Usage, "outside");
  REQUIRE_ERROR(t.data<double>(), ErrorKind::Usage, "f32 [2, 3] read as f64");
  REQUIRE_ERROR(t.item(), ErrorKind::Usage, "one element");
}

TEST_CASE("tensor: 0-dim, empty and absurd shapes", "[tensor]") {
  CHECK(Tensor::scalar(3).item() == 3);
  CHECK(Tensor::scalar(3).rank() == 0);
  const Tensor empty = Tensor::zeros({2, 0, 3});
  CHECK(empty.numel() == 0);
  CHECK(empty.is_contiguous());
  CHECK(empty.to_vector<float>().empty());
  REQUIRE_ERROR(Tensor::empty({-1}), ErrorKind::Usage, "negative");
  REQUIRE_ERROR(Tensor::empty({1 << 30, 1 << 30, 1 << 30}), ErrorKind::Usage, "too many elements");
}

TEST_CASE("tensor: channels-last memory", "[tensor]") {
  const Tensor t =
      Tensor::empty_strided({2, 3, 4, 5}, channels_last_strides(Dims{2, 3, 4, 5}), DType::f32);
  CHECK(t.is_channels_last());
  CHECK(t.is_dense());
  CHECK_FALSE(t.is_contiguous());
  CHECK_FALSE(t.narrow_view(1, 0, 2).is_dense());
}

TEST_CASE("tensor: copies between layouts keep values and bump the version", "[tensor]") {
  const Tensor a = Tensor::from(std::vector<float>{0, 1, 2, 3, 4, 5}, {2, 3});
  const Tensor b = Tensor::empty_strided({2, 3}, {1, 2}, DType::f32);
  const uint32_t before = b.storage()->version();
  b.copy_from(a);
  CHECK(b.storage()->version() == before + 1);
  CHECK(std::string(b.storage()->modified_by()) == "copy_from");
  CHECK(b.to_vector<float>() == a.to_vector<float>());
  b.zero();
  CHECK(b.to_vector<float>() == std::vector<float>(6, 0.0f));
  REQUIRE_ERROR(b.copy_from(Tensor::zeros({3, 2})), ErrorKind::Usage, "copy_from");
}

TEST_CASE("dtype: 2-byte floats round to nearest even and keep what is special", "[dtype]") {
  CHECK(static_cast<float>(bf16(1.00390625f)) == 1.0f);  // a tie goes to even
  CHECK(static_cast<float>(bf16(1.01171875f)) == 1.015625f);
  CHECK(std::isnan(static_cast<float>(bf16(std::numeric_limits<float>::quiet_NaN()))));
  CHECK(std::isinf(static_cast<float>(bf16(std::numeric_limits<float>::max()))));
  CHECK(static_cast<float>(f16(65504.0f)) == 65504.0f);
  CHECK(std::isinf(static_cast<float>(f16(65520.0f))));
  CHECK(static_cast<float>(f16(5.9604644775390625e-8f)) == 5.9604644775390625e-8f);
  CHECK(static_cast<float>(f16(2e-8f)) == 0.0f);
  CHECK(std::isnan(static_cast<float>(f16(std::numeric_limits<float>::quiet_NaN()))));
  for (uint32_t bits = 0; bits < 65536; ++bits) {  // every value survives the round trip
    f16 h;
    h.bits = static_cast<uint16_t>(bits);
    const float f = h;
    if (std::isnan(f)) continue;
    REQUIRE(f16(f).bits == h.bits);
    bf16 b;
    b.bits = static_cast<uint16_t>(bits);
    const float g = b;
    if (std::isnan(g)) continue;
    REQUIRE(bf16(g).bits == b.bits);
  }
}
