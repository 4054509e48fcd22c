#include "autograd/mode.h"

namespace tenon {

namespace {
thread_local bool t_grad = true;
thread_local std::optional<DType> t_autocast;
}  // namespace

bool grad_enabled() {
  return t_grad;
}

NoGrad::NoGrad(bool enabled_grad) : outer_(t_grad) {
  t_grad = enabled_grad;
}
NoGrad::~NoGrad() {
  t_grad = outer_;
}

Autocast::Autocast(std::optional<DType> dtype) : outer_(t_autocast) {
  if (dtype)
    check(is_half(*dtype), ErrorKind::Usage, "autocast: dtype {}, want bf16 or f16",
          dtype_name(*dtype));
  t_autocast = dtype;
}
Autocast::~Autocast() {
  t_autocast = outer_;
}
std::optional<DType> autocast_dtype() {
  return t_autocast;
}

}  // namespace tenon
