#include "ops/norm/group_norm.h"

#include <vector>

#include "core/base/rng.h"
#include "ops/ops.h"

namespace tenon {

TENON_REGISTER_OP(GroupNorm);
TENON_REGISTER_OP(GroupNormBackward);

double dropout_factor(uint64_t key, uint64_t row, uint64_t index, double p) {
  const Philox4 words = philox(key, index / 4, row);
  return static_cast<double>(uniform_from_bits(words.v[index % 4])) >= p ? 1 / (1 - p) : 0;
}

namespace {

void check_inputs(const char* op, const GroupNormAttrs& a, const Tensor& x, const Tensor& gamma,
                  const Tensor& beta, const Tensor& shift) {
  check(x.rank() >= 2 && x.rank() <= 4 && is_float(x.dtype()), ErrorKind::Usage,
        "{}: x is {}, want [N, C, ...] of rank 2 to 4 and a floating type", op, x.describe());
  const int64_t channels = x.size(1);
  check(a.groups >= 1 && channels % a.groups == 0, ErrorKind::Usage,
        "{}: {} groups do not divide the {} channels of x {}", op, a.groups, channels,
        x.describe());
  check(a.dropout >= 0 && a.dropout < 1, ErrorKind::Usage,
        "{}: dropout probability {}, want 0 <= p < 1", op, a.dropout);
  check(gamma.defined() == beta.defined(), ErrorKind::Usage,
        "{}: gamma and beta must both be given, or neither", op);
  for (const auto& [t, what] : {std::pair{&gamma, "gamma"}, std::pair{&beta, "beta"}})
    check(!t->defined() || (t->rank() == 1 && t->size(0) == channels && is_float(t->dtype())),
          ErrorKind::Usage, "{}: {} is {}, want [{}] of a floating type", op, what,
          t->defined() ? t->describe() : "", channels);
  check(!shift.defined() || (shift.rank() == 2 && shift.size(0) == x.size(0) &&
                             shift.size(1) == channels && is_float(shift.dtype())),
        ErrorKind::Usage, "{}: shift is {}, want [{}, {}] of a floating type", op,
        shift.defined() ? shift.describe() : "", x.size(0), channels);
}

TensorMeta meta_or_nothing(const Tensor& t, DType otherwise) {
  return t.defined() ? TensorMeta{t.sizes(), t.dtype(), {}} : TensorMeta{{0}, otherwise, {}};
}

struct Case {
  const char* name;
  Dims shape;
  GroupNormAttrs attrs;
  bool affine = true, shift = false;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list = {
      {"plain", {2, 6, 3, 4}, {.groups = 2}},
      {"no_affine", {2, 6, 3, 4}, {.groups = 3}, false},
      {"silu", {2, 8, 3, 3}, {.groups = 2, .silu = true}},
      {"shift", {3, 8, 2, 3}, {.groups = 4, .silu = true}, true, true},
      {"shift_no_affine", {2, 4, 2, 3}, {.groups = 2}, false, true},
      {"dropout", {2, 8, 3, 3}, {.groups = 2, .silu = true, .dropout = 0.3, .key = 77}, true, true},
      {"wide", {2, 40, 5, 3}, {.groups = 4, .silu = true, .dropout = 0.2, .key = 5}, true, true},
      {"instance", {2, 5, 4, 4}, {.groups = 5}},
      {"layer", {2, 5, 3, 3}, {.groups = 1, .silu = true}},
      {"rows", {4, 6}, {.groups = 2, .silu = true}, true, true},
      {"rank3", {2, 6, 5}, {.groups = 3}},
      {"empty", {0, 4, 2, 2}, {.groups = 2}, true, true},
  };
  return list;
}

}  // namespace

Metas GroupNorm::infer(const Attrs& a, Inputs in) {
  const Tensor& x = in[0];
  check_inputs(traits.name, a, x, in[1], in[2], in[3]);
  const DType stats = statistics_dtype(x.dtype());
  return {like(x), {{x.size(0), a.groups}, stats, {}}, {{x.size(0), a.groups}, stats, {}}};
}

TensorVec GroupNorm::backward(const Attrs& a, const BackwardArgs& args) {
  const TensorVec d =
      apply<GroupNormBackward>(a, {args.grad(), args.input(0), args.input(1), args.input(2),
                                   args.input(3), args.output(1), args.output(2)});
  const bool affine = args.input(1).defined(), shift = args.input(3).defined();
  return {args.needs(0) ? d[0] : Tensor(), affine && args.needs(1) ? d[1] : Tensor(),
          affine && args.needs(2) ? d[2] : Tensor(), shift && args.needs(3) ? d[3] : Tensor()};
}

std::vector<Sample> GroupNorm::samples() {
  std::vector<Sample> out;
  for (const Case& c : cases()) {
    const int64_t n = c.shape[0], channels = c.shape[1];
    out.push_back(
        {c.name,
         {floats(c.shape), c.affine ? floats({channels}) : none(),
          c.affine ? floats({channels}) : none(), c.shift ? floats({n, channels}) : none()},
         make_attrs(c.attrs)});
  }
  const auto refuse = [&](const char* name, Dims x, InputSpec gamma, InputSpec beta,
                          InputSpec shift, GroupNormAttrs a) {
    out.push_back({name, {floats(x), gamma, beta, shift}, make_attrs(a), 0, true});
  };
  refuse("groups", {2, 6, 3}, none(), none(), none(), {.groups = 4});
  refuse("one_parameter", {2, 6, 3}, floats({6}), none(), none(), {.groups = 2});
  refuse("gamma", {2, 6, 3}, floats({5}), floats({6}), none(), {.groups = 2});
  refuse("shift", {2, 6, 3}, none(), none(), floats({2, 5}), {.groups = 2});
  refuse("probability", {2, 6, 3}, none(), none(), none(), {.groups = 2, .dropout = 1});
  refuse("rank", {6}, none(), none(), none(), {.groups = 1});
  return out;
}

Metas GroupNormBackward::infer(const Attrs& a, Inputs in) {
  const Tensor &g = in[0], &x = in[1];
  check_inputs(traits.name, a, x, in[2], in[3], in[4]);
  check(g.sizes() == x.sizes(), ErrorKind::Usage, "{}: g is {}, x is {}, want one shape",
        traits.name, g.describe(), x.describe());
  const Dims stats{x.size(0), a.groups};
  for (const size_t i : {5, 6})
    check(in[i].sizes() == stats && is_float(in[i].dtype()), ErrorKind::Usage,
          "{}: mean or rstd is {}, want {} of a floating type", traits.name, in[i].describe(),
          to_string(stats));
  return {like(x), meta_or_nothing(in[2], x.dtype()), meta_or_nothing(in[3], x.dtype()),
          meta_or_nothing(in[4], x.dtype())};
}

std::vector<Sample> GroupNormBackward::samples() {
  std::vector<Sample> out;
  for (const Case& c : cases()) {
    const int64_t n = c.shape[0], channels = c.shape[1];
    const auto affine = [&] { return c.affine ? floats({channels}) : none(); };
    out.push_back(
        {c.name,
         {floats(c.shape), floats(c.shape), affine(), affine(),
          c.shift ? floats({n, channels}) : none(), statistics({n, c.attrs.groups}, -0.5, 0.5),
          statistics({n, c.attrs.groups}, 0.5, 2)},
         make_attrs(c.attrs)});
  }
  out.push_back({"shapes",
                 {floats({2, 6, 3}), floats({2, 6, 4}), none(), none(), none(), floats({2, 2}),
                  floats({2, 2})},
                 make_attrs(GroupNormAttrs{.groups = 2}),
                 0,
                 true});
  return out;
}

Tensor group_norm(const Tensor& x, const Tensor& gamma, const Tensor& beta,
                  const GroupNormAttrs& attrs, const Tensor& shift) {
  return apply<GroupNorm>(attrs, {x, gamma, beta, shift})[0];
}

}  // namespace tenon
