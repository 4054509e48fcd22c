#include "ops/norm/row_norm.h"

#include "ops/norm/group_norm.h"
#include "ops/ops.h"

namespace tenon {

TENON_REGISTER_OP(LayerNorm);
TENON_REGISTER_OP(RmsNorm);
TENON_REGISTER_OP(RowNormBackward);

namespace {

Dims rows_of(const Tensor& x) {
  Dims rows;
  for (int64_t d = 0; d + 1 < x.rank(); ++d) rows.push_back(x.size(d));
  return rows;
}

void check_inputs(const char* op, const Tensor& x, const Tensor& gamma, const Tensor& beta) {
  check(x.rank() >= 1 && is_float(x.dtype()) && x.size(-1) >= 1, ErrorKind::Usage,
        "{}: x is {}, want [..., D] with D >= 1 and a floating type", op, x.describe());
  for (const auto& [t, what] : {std::pair{&gamma, "gamma"}, std::pair{&beta, "beta"}})
    check(!t->defined() || (t->rank() == 1 && t->size(0) == x.size(-1) && is_float(t->dtype())),
          ErrorKind::Usage, "{}: {} is {}, want [{}] of a floating type", op, what,
          t->defined() ? t->describe() : "", x.size(-1));
}

const std::vector<std::pair<const char*, Dims>>& shapes() {
  static const std::vector<std::pair<const char*, Dims>> list = {
      {"rows", {5, 7}},  {"axes", {2, 3, 16}}, {"vector", {9}},
      {"wide", {3, 50}}, {"empty", {0, 4}},    {"many", {70, 3}}};
  return list;
}

}  // namespace

Metas LayerNorm::infer(const Attrs&, Inputs in) {
  check_inputs(traits.name, in[0], in[1], in[2]);
  const TensorMeta statistics{rows_of(in[0]), statistics_dtype(in[0].dtype()), {}};
  return {{in[0].sizes(), in[0].dtype(), {}}, statistics, statistics};
}

TensorVec LayerNorm::backward(const Attrs&, const BackwardArgs& args) {
  const Tensor &gamma = args.input(1), &x = args.input(0);
  // Without gamma, beta's gradient still needs the kernel's column sums.
  const TensorVec d =
      apply<RowNormBackward>({}, {args.grad(), x, gamma, args.output(1), args.output(2)});
  const auto cast_to = [&](const Tensor& t, size_t i) {
    return args.needs(i) ? cast(t, args.input_meta(i).dtype) : Tensor();
  };
  return {args.needs(0) ? d[0] : Tensor(), cast_to(d[1], 1), cast_to(d[2], 2)};
}

std::vector<Sample> LayerNorm::samples() {
  std::vector<Sample> out;
  const auto a = make_attrs(Attrs{});
  for (const auto& [name, shape] : shapes()) {
    const Dims d{shape.back()};
    out.push_back({name, {floats(shape), floats(d), floats(d)}, a});
  }
  out.push_back({"plain", {floats({4, 6}), none(), none()}, a});
  out.push_back({"scale", {floats({4, 6}), floats({6}), none()}, a});
  out.push_back({"offset", {floats({4, 6}), none(), floats({6})}, a});
  out.push_back({"gamma", {floats({4, 6}), floats({5}), none()}, a, 0, true});
  out.push_back({"scalar", {floats({}), none(), none()}, a, 0, true});
  return out;
}

Metas RmsNorm::infer(const Attrs&, Inputs in) {
  check_inputs(traits.name, in[0], in[1], Tensor());
  return {{in[0].sizes(), in[0].dtype(), {}},
          {rows_of(in[0]), statistics_dtype(in[0].dtype()), {}}};
}

TensorVec RmsNorm::backward(const Attrs&, const BackwardArgs& args) {
  const TensorVec d = apply<RowNormBackward>(
      {}, {args.grad(), args.input(0), args.input(1), Tensor(), args.output(1)});
  return {args.needs(0) ? d[0] : Tensor(),
          args.needs(1) ? cast(d[1], args.input_meta(1).dtype) : Tensor()};
}

std::vector<Sample> RmsNorm::samples() {
  std::vector<Sample> out;
  const auto a = make_attrs(Attrs{1e-6});
  for (const auto& [name, shape] : shapes())
    out.push_back({name, {floats(shape), floats({shape.back()})}, a});
  out.push_back({"plain", {floats({4, 6}), none()}, a});
  out.push_back({"gamma", {floats({4, 6}), floats({5})}, a, 0, true});
  out.push_back({"scalar", {floats({}), none()}, a, 0, true});
  return out;
}

Metas RowNormBackward::infer(const Attrs&, Inputs in) {
  const Tensor &g = in[0], &x = in[1];
  check_inputs(traits.name, x, in[2], Tensor());
  check(g.sizes() == x.sizes(), ErrorKind::Usage, "{}: g is {}, x is {}, want one shape",
        traits.name, g.describe(), x.describe());
  for (const size_t i : {3, 4})
    check(!in[i].defined() || (in[i].sizes() == rows_of(x) && is_float(in[i].dtype())),
          ErrorKind::Usage, "{}: mean or rstd is {}, want {} of a floating type", traits.name,
          in[i].defined() ? in[i].describe() : "", to_string(rows_of(x)));
  const TensorMeta column{{x.size(-1)}, statistics_dtype(x.dtype()), {}};
  return {{x.sizes(), x.dtype(), {}}, column, column};
}

std::vector<Sample> RowNormBackward::samples() {
  std::vector<Sample> out;
  const auto a = make_attrs(Attrs{});
  for (const auto& [name, shape] : shapes()) {
    Dims rows = shape;
    rows.pop_back();
    const InputSpec rstd = floats(rows, 0.5, 2), mean = floats(rows, -0.5, 0.5);
    const InputSpec x = floats(shape), gamma = floats({shape.back()});
    out.push_back({name, {x, x, gamma, mean, rstd}, a});
    out.push_back({fmt::format("{}_rms", name), {x, x, none(), none(), rstd}, a});
  }
  out.push_back(
      {"shapes", {floats({4, 6}), floats({4, 5}), none(), floats({4}), floats({4})}, a, 0, true});
  return out;
}

Tensor layer_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  return apply<LayerNorm>({eps}, {x, gamma, beta})[0];
}
Tensor rms_norm(const Tensor& x, const Tensor& gamma, double eps) {
  return apply<RmsNorm>({eps}, {x, gamma})[0];
}

}  // namespace tenon
