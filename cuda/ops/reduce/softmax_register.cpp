// Adds the softmax kernels to the op lists.
#include "cuda/ops/reduce/softmax.h"
#include "ops/reduce/softmax.h"
#include "ops/registry/plain.h"

namespace tenon::cuda {
namespace {

template <bool Log>
void run_softmax(const KernelCall& call) {
  using Op = SoftmaxOp<Log>;
  const Tensor& x = call.in[0];
  const Around a(x.sizes(), call.get<typename Op::Attrs>().dim);
  visit_float(x.dtype(), Op::traits.name, [&](auto tag) {
    using T = typename decltype(tag)::type;
    softmax_rows<T>(x.data<T>(), call.out[0].data<T>(), a.outer, a.n, a.inner, Log, nullptr);
  });
}

template <bool Log>
void run_softmax_backward(const KernelCall& call) {
  using Op = SoftmaxBackwardOp<Log>;
  const Tensor& y = call.in[1];
  const Around a(y.sizes(), call.get<typename Op::Attrs>().dim);
  visit_float(y.dtype(), Op::traits.name, [&](auto tag) {
    using T = typename decltype(tag)::type;
    softmax_rows_backward<T>(call.in[0].data<T>(), y.data<T>(), call.out[0].data<T>(), a.outer, a.n,
                             a.inner, Log, nullptr);
  });
}

#define TENON_REGISTER_CUDA(Op, run_it) \
  TENON_REGISTER_KERNEL(                \
      Op, {.name = "cuda", .device = DeviceKind::CUDA, .rank = kRankCuda, .run = run_it})
TENON_REGISTER_CUDA(Softmax, run_softmax<false>);
TENON_REGISTER_CUDA(LogSoftmax, run_softmax<true>);
TENON_REGISTER_CUDA(SoftmaxBackward, run_softmax_backward<false>);
TENON_REGISTER_CUDA(LogSoftmaxBackward, run_softmax_backward<true>);
#undef TENON_REGISTER_CUDA

}  // namespace
}  // namespace tenon::cuda
