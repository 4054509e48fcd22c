#include "ops/norm/batch_norm.h"

#include "ops/norm/group_norm.h"
#include "ops/ops.h"

namespace tenon {

TENON_REGISTER_OP(BatchNorm);
TENON_REGISTER_OP(BatchNormBackward);

namespace {

void check_channels(const char* op, const char* what, const Tensor& t, int64_t channels) {
  check(!t.defined() || (t.rank() == 1 && t.size(0) == channels && is_float(t.dtype())),
        ErrorKind::Usage, "{}: {} is {}, want [{}] of a floating type", op, what,
        t.defined() ? t.describe() : "", channels);
}

void check_image(const char* op, const Tensor& x) {
  check(x.rank() >= 2 && x.rank() <= 4 && is_float(x.dtype()), ErrorKind::Usage,
        "{}: x is {}, want [N, C, ...] of rank 2 to 4 and a floating type", op, x.describe());
}

// [C] -> [1, C, 1, ...], to broadcast over x.
Tensor beside(const Tensor& t, const Tensor& x) {
  Dims sizes(x.sizes().size());
  for (size_t d = 0; d < sizes.size(); ++d) sizes[d] = d == 1 ? x.size(1) : 1;
  return cast(reshape(t, sizes), x.dtype());
}

}  // namespace

Metas BatchNorm::infer(const Attrs& a, Inputs in) {
  const Tensor& x = in[0];
  check_image(traits.name, x);
  const int64_t channels = x.size(1);
  check(in[1].defined() == in[2].defined() && in[3].defined() == in[4].defined(), ErrorKind::Usage,
        "batch_norm: gamma and beta must both be given or neither, and so the running statistics");
  check(a.momentum >= 0 && a.momentum <= 1, ErrorKind::Usage,
        "batch_norm: momentum {}, want 0 to 1", a.momentum);
  check_channels(traits.name, "gamma", in[1], channels);
  check_channels(traits.name, "beta", in[2], channels);
  check_channels(traits.name, "running_mean", in[3], channels);
  check_channels(traits.name, "running_var", in[4], channels);
  check(x.numel() > channels, ErrorKind::Usage,
        "batch_norm: x is {}, one value a channel; training needs more", x.describe());
  const TensorMeta statistics{{channels}, statistics_dtype(x.dtype()), {}};
  return {like(x), statistics, statistics};
}

TensorVec BatchNorm::backward(const Attrs&, const BackwardArgs& args) {
  const Tensor& gamma = args.input(1);
  const TensorVec d = apply<BatchNormBackward>(
      {}, {args.grad(), args.input(0), gamma, args.output(1), args.output(2)});
  TensorVec out(5);
  if (args.needs(0)) out[0] = d[0];
  for (const size_t i : {1, 2})
    if (gamma.defined() && args.needs(i)) out[i] = cast(d[i], args.input_meta(i).dtype);
  return out;
}

std::vector<Sample> BatchNorm::samples() {
  std::vector<Sample> out;
  const auto a = make_attrs(Attrs{});
  for (const auto& [name, shape] :
       std::vector<std::pair<const char*, Dims>>{{"image", {3, 5, 4, 2}},
                                                 {"wide", {2, 34, 3, 3}},
                                                 {"rows", {9, 4}},
                                                 {"rank3", {2, 3, 5}}}) {
    const Dims c{shape[1]};
    out.push_back({name, {floats(shape), floats(c), floats(c), floats(c), floats(c, 0.5, 2)}, a});
    out.push_back(
        {std::string(name) + "_plain", {floats(shape), none(), none(), none(), none()}, a});
  }
  out.push_back({"gamma", {floats({3, 4}), floats({3}), floats({4}), none(), none()}, a, 0, true});
  out.push_back({"one_value", {floats({1, 4}), none(), none(), none(), none()}, a, 0, true});
  out.push_back({"rank", {floats({4}), none(), none(), none(), none()}, a, 0, true});
  return out;
}

Metas BatchNormBackward::infer(const Attrs&, Inputs in) {
  const Tensor &g = in[0], &x = in[1];
  check_image(traits.name, x);
  check(g.sizes() == x.sizes(), ErrorKind::Usage, "{}: g is {}, x is {}, want one shape",
        traits.name, g.describe(), x.describe());
  check_channels(traits.name, "gamma", in[2], x.size(1));
  check_channels(traits.name, "mean", in[3], x.size(1));
  check_channels(traits.name, "rstd", in[4], x.size(1));
  const TensorMeta statistics{{x.size(1)}, statistics_dtype(x.dtype()), {}};
  return {like(x), statistics, statistics};
}

std::vector<Sample> BatchNormBackward::samples() {
  std::vector<Sample> out;
  const auto a = make_attrs(Attrs{});
  const auto add = [&](const char* name, Dims shape, InputSpec gamma) {
    const Dims c{shape[1]};
    out.push_back(
        {name, {floats(shape), floats(shape), gamma, floats(c, -0.5, 0.5), floats(c, 0.5, 2)}, a});
  };
  add("image", {3, 5, 4, 2}, floats({5}));
  add("wide", {2, 34, 3, 3}, floats({34}));
  add("rows", {9, 4}, none());
  out.push_back(
      {"shapes", {floats({3, 4}), floats({3, 5}), none(), floats({5}), floats({5})}, a, 0, true});
  return out;
}

Tensor batch_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const Tensor& running_mean, const Tensor& running_var, bool training,
                  double momentum, double eps) {
  if (training)
    return apply<BatchNorm>({eps, momentum}, {x, gamma, beta, running_mean, running_var})[0];
  check_image("batch_norm", x);
  check(running_mean.defined() && running_var.defined(), ErrorKind::Usage,
        "batch_norm: evaluation needs the running statistics");
  Tensor scale = rsqrt(affine(running_var, 1, eps));
  if (gamma.defined()) scale = mul(scale, cast(gamma, scale.dtype()));
  const Tensor y = mul(sub(x, beside(running_mean, x)), beside(scale, x));
  return beta.defined() ? add(y, beside(beta, x)) : y;
}

}  // namespace tenon
