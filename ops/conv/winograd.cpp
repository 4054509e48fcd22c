// When Winograd's algorithm is chosen. Baseline code: the question is asked on every processor.
#include "ops/conv/winograd.h"

#include "core/simd/target.h"
#include "ops/conv/geometry.h"

#if defined(__x86_64__)

namespace tenon {
namespace {

const char* refuse(const ConvGeometry& g, DType dtype) {
  const ConvWindow& a = g.window;
  if (dtype == DType::f64) return "f64 wants full precision";
  if (dtype == DType::bf16 && cpu_has_bf16()) return "the processor multiplies bf16 faster";
  if (g.kh != 3 || g.kw != 3 || a.stride_h != 1 || a.stride_w != 1 || a.dilation_h != 1 ||
      a.dilation_w != 1 || a.groups != 1)
    return "only 3 x 3, stride 1, no dilation, one group";
  if (a.top > 2 || a.left > 2 || a.bottom > 2 || a.right > 2) return "only padding up to 2";
  if (!g.channels_last) return "only channels-last";
  if (g.ci < 16 || g.co < 16) return "few channels";
  if (g.n * g.oh * g.ow < 16) return "few pixels";
  return nullptr;
}

template <Target target>
const char* check(const ConvGeometry& g, const KernelCall& call) {
  if (!cpu_has(target))
    return "the processor lacks these instructions, or TENON_CPU_TARGET forbids them";
  return refuse(g, call.in[0].dtype());
}
template <Target target>
const char* forward(const KernelCall& c) {
  const Tensor& w = c.in[1];
  return check<target>(conv_geometry(c.get<ConvWindow>(), c.in[0], w.size(2), w.size(3), c.out[0]),
                       c);
}
template <Target target>
const char* input_grad(const KernelCall& c) {
  const Tensor& w = c.in[1];
  const auto& a = c.get<Conv2dInputGrad::Attrs>();
  return check<target>(conv_geometry(a.window, c.out[0], w.size(2), w.size(3), c.in[0]), c);
}
template <Target target>
const char* weight_grad(const KernelCall& c) {
  const auto& a = c.get<Conv2dWeightGrad::Attrs>();
  return check<target>(conv_geometry(a.window, c.in[0], a.kh, a.kw, c.in[1]), c);
}

#define TENON_WINOGRAD(target, above)                                              \
  TENON_REGISTER_KERNEL(Conv2d, {.name = "winograd_" #target,                      \
                                 .rank = kRankSpecial + above,                     \
                                 .accepts = forward<Target::target>,               \
                                 .run = target::winograd_forward});                \
  TENON_REGISTER_KERNEL(Conv2dInputGrad, {.name = "winograd_" #target,             \
                                          .rank = kRankSpecial + above,            \
                                          .accepts = input_grad<Target::target>,   \
                                          .run = target::winograd_input_grad});    \
  TENON_REGISTER_KERNEL(Conv2dWeightGrad, {.name = "winograd_" #target,            \
                                           .rank = kRankSpecial + above,           \
                                           .accepts = weight_grad<Target::target>, \
                                           .run = target::winograd_weight_grad})
TENON_WINOGRAD(avx2, 0);
TENON_WINOGRAD(avx512, 1);
#undef TENON_WINOGRAD

}  // namespace
}  // namespace tenon

#endif
