// Switches of the recording thread, as scopes.
#pragma once

#include <optional>

#include "core/dtype/dtype.h"

namespace tenon {

bool grad_enabled();

// Inside, nothing is recorded (and in-place changes of leaves are allowed).
class NoGrad {
 public:
  explicit NoGrad(bool enabled_grad = false);
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool outer_;
};
// Inside, recording is on again (used by checkpoint and by backward with create_graph).
class EnableGrad : NoGrad {
 public:
  EnableGrad() : NoGrad(true) {}
};

// Inside, ops of class Bf16 run in `dtype` (bf16) and ops of class F32 in f32; each op states its
// class in its contract. Nothing is cast where the input has the right type already.
class Autocast {
 public:
  explicit Autocast(std::optional<DType> dtype);
  ~Autocast();
  Autocast(const Autocast&) = delete;
  Autocast& operator=(const Autocast&) = delete;

 private:
  std::optional<DType> outer_;
};
std::optional<DType> autocast_dtype();

}  // namespace tenon
