// The automatic checks that every op gets from its samples (docs/add-an-op.md).
#pragma once

#include <string>
#include <vector>

#include "ops/registry/op.h"

namespace tenon::walker {

struct Check {
  const char* name;
  // Empty when the op passes, else what is wrong. nullptr reason in `applies` = it applies.
  std::string (*run)(const OpInfo& op, const Sample& sample);
  bool (*applies)(const OpInfo& op, const Sample& sample);
};

const std::vector<Check>& checks();

// Inputs of a sample with values fixed by its name, as f64 (or their integer type), row-major.
TensorVec make_inputs(const OpInfo& op, const Sample& sample);
// Copies, the floating ones in another type (InputSpec::keeps_f32 ones stay f32 beside 2-byte
// types).
TensorVec with_dtype(const Sample& sample, const TensorVec& inputs, DType dtype);
// "tests/ops: --op=softmax --sample=rows --check=gradient".
std::string repro(const OpInfo& op, const Sample& sample, const Check& check);

}  // namespace tenon::walker
