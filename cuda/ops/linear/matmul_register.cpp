// Adds the tensor-core product to the list of matmul.
#include "cuda/ops/linear/matmul.h"
#include "ops/linear/matmul.h"

namespace tenon::cuda {
namespace {

const char* only_bf16(const KernelCall& call) {
  return call.in[0].dtype() == DType::bf16 ? nullptr : "the tensor-core kernel takes bf16 only";
}

void run_matmul(const KernelCall& call) {
  const auto& attrs = call.get<Matmul::Attrs>();
  const Tensor &a = call.in[0], &b = call.in[1], &c = call.out[0];
  if (c.numel() == 0) return;
  MatmulShape shape;
  shape.m = c.size(-2);
  shape.n = c.size(-1);
  shape.k = a.size(attrs.trans_a ? -2 : -1);
  const int64_t size_a = shape.m * shape.k, size_b = shape.k * shape.n, size_c = shape.m * shape.n;
  const auto run = [&](int64_t at_a, int64_t at_b, int64_t at_c) {
    matmul_bf16<bf16>(a.data<bf16>() + at_a * size_a, b.data<bf16>() + at_b * size_b,
                      c.data<bf16>() + at_c * size_c, shape, attrs.trans_a, attrs.trans_b, nullptr);
  };
  // Matrices at a constant distance are one launch; broadcasting over inner axes is one each.
  const MatmulBatch batch = matmul_batch(a, b);
  const auto step = batch.count > 1 ? batch.at(1) : std::pair<int64_t, int64_t>{0, 0};
  bool regular = true;
  for (int64_t z = 2; z < batch.count && regular; ++z)
    regular = batch.at(z) == std::pair(z * step.first, z * step.second);
  if (regular) {
    shape.batch = batch.count;
    shape.stride_a = step.first * size_a;
    shape.stride_b = step.second * size_b;
    shape.stride_c = size_c;
    return run(0, 0, 0);
  }
  for (int64_t z = 0; z < batch.count; ++z) {
    const auto [at_a, at_b] = batch.at(z);
    run(at_a, at_b, z);
  }
}

TENON_REGISTER_KERNEL(Matmul, {.name = "mma",
                               .device = DeviceKind::CUDA,
                               .rank = kRankCuda,
                               .accepts = only_bf16,
                               .run = run_matmul});

}  // namespace
}  // namespace tenon::cuda
