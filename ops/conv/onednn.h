// The only user of oneDNN's interface (versions 2 and 3 differ): convolutions on raw memory.
//
// A plan is a compiled primitive for one problem, kept in a table of the most recently used ones.
// Activations stay in the caller's order where oneDNN is fast on it (channels-last) and are
// reordered to its blocked order where it is not; weights are row-major outside and reordered on
// the way, which costs under 2 % of a convolution.
#pragma once

#include <memory>

#include "core/dtype/dtype.h"
#include "ops/conv/geometry.h"

namespace tenon::onednn {

enum class ConvPass { Forward, InputGrad, WeightGrad };

class ConvPlan {
 public:
  virtual ~ConvPlan() = default;
  // Forward: in = x, weights, bias (may be null), out = y. InputGrad: in = g, weights, out = dx.
  // WeightGrad: in = x, in2 = g, out = dw. Any thread may run a plan at any time.
  virtual void run(const void* in, const void* in2, const void* bias, void* out) const = 0;
};

// The plan, made on first use. nullptr where oneDNN is absent or cannot do it; *reason then says
// why.
std::shared_ptr<const ConvPlan> conv_plan(ConvPass pass, const ConvGeometry& geometry, DType dtype,
                                          bool bias, const char** reason);

// "oneDNN 2.6.3" or "" without it; for --version.
const char* version();

}  // namespace tenon::onednn
