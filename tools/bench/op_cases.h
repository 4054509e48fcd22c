// The ops that tenon-bench-ops times, at the shapes that tools/bench/ops_torch.py uses as well.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"
#include "ops/registry/op.h"

namespace tenon {

// One op at one shape. The number of rows (the leading size) may be changed, so that the reference,
// which is slow, can check a slice of the same problem.
struct OpCase {
  std::string op, shape;
  std::vector<std::string> ops;  // registered names: forward first, then what backward runs
  int64_t rows = 1, checked_rows = 1;
  std::function<TensorVec(int64_t rows, DType)> inputs;
  std::function<Tensor(const TensorVec&)> forward;
  double elements = 0;  // of all inputs and outputs of forward: what it must read and write
  double backward_elements = 0;  // the same of backward; 0 = forward only
  double flops = 0;              // of forward
  double backward_flops = 0;
};

std::vector<OpCase> op_cases();

// Uniform in [-2 scale, 2 scale), the same values for the same key.
Tensor random_floats(const Dims& sizes, DType dtype, uint64_t key, double scale = 1);

}  // namespace tenon
