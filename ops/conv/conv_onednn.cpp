// Convolutions by oneDNN.
#include "ops/conv/geometry.h"
#include "ops/conv/onednn.h"

namespace tenon {
namespace {

using onednn::ConvPass;

ConvGeometry forward_geometry(const KernelCall& c) {
  return conv_geometry(c.get<ConvWindow>(), c.in[0], c.in[1].size(2), c.in[1].size(3), c.out[0]);
}
ConvGeometry input_geometry(const KernelCall& c) {
  return conv_geometry(c.get<Conv2dInputGrad::Attrs>().window, c.out[0], c.in[1].size(2),
                       c.in[1].size(3), c.in[0]);
}
ConvGeometry weight_geometry(const KernelCall& c) {
  const auto& a = c.get<Conv2dWeightGrad::Attrs>();
  return conv_geometry(a.window, c.in[0], a.kh, a.kw, c.in[1]);
}

template <ConvPass pass>
std::shared_ptr<const onednn::ConvPlan> plan(const KernelCall& call, const char** reason) {
  const ConvGeometry geometry = pass == ConvPass::Forward     ? forward_geometry(call)
                                : pass == ConvPass::InputGrad ? input_geometry(call)
                                                              : weight_geometry(call);
  const bool bias = pass == ConvPass::Forward && call.in[2].defined();
  return onednn::conv_plan(pass, geometry, call.in[0].dtype(), bias, reason);
}

template <ConvPass pass>
const char* accepts(const KernelCall& call) {
  const char* reason = nullptr;
  plan<pass>(call, &reason);
  return reason;
}

template <ConvPass pass>
void run(const KernelCall& call) {
  const char* reason = nullptr;
  const auto made = plan<pass>(call, &reason);
  const void* bias = nullptr;
  if constexpr (pass == ConvPass::Forward)
    if (call.in[2].defined()) bias = call.in[2].raw();
  made->run(call.in[0].raw(), call.in[1].raw(), bias, call.out[0].raw());
}

TENON_REGISTER_KERNEL(Conv2d, {.name = "onednn",
                               .rank = kRankLibrary,
                               .accepts = accepts<ConvPass::Forward>,
                               .run = run<ConvPass::Forward>});
TENON_REGISTER_KERNEL(Conv2dInputGrad, {.name = "onednn",
                                        .rank = kRankLibrary,
                                        .accepts = accepts<ConvPass::InputGrad>,
                                        .run = run<ConvPass::InputGrad>});
TENON_REGISTER_KERNEL(Conv2dWeightGrad, {.name = "onednn",
                                         .rank = kRankLibrary,
                                         .accepts = accepts<ConvPass::WeightGrad>,
                                         .run = run<ConvPass::WeightGrad>});

}  // namespace
}  // namespace tenon
