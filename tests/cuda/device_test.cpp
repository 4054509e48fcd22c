// The `cuda` device through the same calls as the CPU: memory, copies, and ops that reach a kernel.
#include <cmath>
#include <limits>
#include <vector>

#include "core/device/device.h"
#include "core/memory/allocator.h"
#include "core/tensor/tensor.h"
#include "ops/registry/op.h"
#include "tests/support/catch.h"

using namespace tenon;

namespace {

const Device kCuda{DeviceKind::CUDA, 0};

// Runs the best cuda implementation of an op and the CPU's reference on the same values.
double largest_difference(const char* name, const void* attrs, const std::vector<Tensor>& in) {
  const OpInfo& op = find_op(name);
  std::vector<Tensor> there;
  for (const Tensor& t : in) there.push_back(t.to(kCuda));
  const Tensor got = apply(op, attrs, there)[0];
  REQUIRE(got.device() == kCuda);
  const Tensor want = apply(op, attrs, in)[0];
  const Difference d = difference(got.to(Device{}), want);
  REQUIRE(!d.nonfinite);
  return d.relative();
}

Tensor ramp(Dims sizes, DType dtype) {
  const Tensor t = Tensor::empty(sizes, dtype);
  visit_float(dtype, "ramp", [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (int64_t i = 0; i < t.numel(); ++i)
      t.data<T>()[i] = static_cast<T>(static_cast<float>(i * 37 % 41) / 16.0f - 1.2f);
  });
  return t;
}

}  // namespace

TEST_CASE("cuda memory: poisoned, counted, limited, copied both ways") {
  if (!device_available(DeviceKind::CUDA)) TENON_SKIP("no cuda device");
  Allocator& allocator = device_backend(DeviceKind::CUDA).allocator(0);
  const size_t before = allocator.stats().in_use;
  {
    const Tensor x = ramp({3, 5}, DType::f32);
    const Tensor there = x.to(kCuda);
    CHECK(allocator.stats().in_use >= before + 60);
    CHECK(difference(there.to(Device{}), x).max_abs == 0);
    there.zero();
    CHECK(there.to_vector<float>() == std::vector<float>(15, 0.0f));
  }
  CHECK(allocator.stats().in_use == before);
  allocator.set_limit(before + 1024);
  REQUIRE_ERROR(Tensor::empty({1 << 20}, DType::f32, kCuda), ErrorKind::Memory, "cuda:0");
  allocator.set_limit(0);
  REQUIRE_ERROR(Tensor::empty({1}, DType::f32, Device{DeviceKind::CUDA, 99}), ErrorKind::Device,
                "cuda:99");
}

TEST_CASE("ops run on the cuda device by their kernels") {
  if (!device_available(DeviceKind::CUDA)) TENON_SKIP("no cuda device");
  const double numbers[2] = {0, 0};  // the attributes of a pointwise op
  for (const DType dtype : {DType::f64, DType::f32, DType::bf16, DType::f16}) {
    const double tolerance = is_half(dtype) ? 1e-2 : 2e-6;
    INFO(dtype_name(dtype));
    CHECK(largest_difference("silu", numbers, {ramp({7, 33}, dtype)}) <= tolerance);
    CHECK(largest_difference("mul", numbers, {ramp({4, 5, 6}, dtype), ramp({5, 1}, dtype)}) <=
          tolerance);
    const int64_t dim = 1;
    CHECK(largest_difference("softmax", &dim, {ramp({3, 50, 2}, dtype)}) <= tolerance);
    CHECK(largest_difference("softmax_backward", &dim,
                             {ramp({3, 50}, dtype), ramp({3, 50}, dtype)}) <= tolerance);
  }
  const bool transposes[2] = {false, true};
  CHECK(largest_difference("matmul", transposes,
                           {ramp({2, 3, 9, 40}, DType::bf16), ramp({3, 70, 40}, DType::bf16)}) <=
        1e-2);
}

TEST_CASE("an op without a kernel says so") {
  if (!device_available(DeviceKind::CUDA)) TENON_SKIP("no cuda device");
  const bool transposes[2] = {false, false};
  const Tensor x = ramp({3, 3}, DType::f32).to(kCuda);
  const std::vector<Tensor> in{x, x};
  REQUIRE_ERROR(apply(find_op("matmul"), transposes, in), ErrorKind::Usage,
                "no implementation on cuda:0");
}
