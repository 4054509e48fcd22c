#pragma once

#include "core/tensor/tensor.h"

namespace tenon {

// How many targets are not ignore_index; throws Usage for one outside [0, classes).
int64_t counted_rows(const Tensor& target, int64_t classes, int64_t ignore_index);

}  // namespace tenon
