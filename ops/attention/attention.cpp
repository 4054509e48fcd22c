#include "ops/attention/attention.h"

#include "ops/attention/geometry.h"
#include "ops/registry/plain.h"

namespace tenon {

TENON_REGISTER_OP(Attention);
TENON_REGISTER_OP(AttentionBackward);

namespace {

DType statistics(DType t) {
  return t == DType::f64 ? DType::f64 : DType::f32;
}

void check_problem(const char* op, const AttentionAttrs& a, const Tensor& q, const Tensor& k,
                   const Tensor& v, const Tensor& offsets) {
  check_float(q, op);
  check(q.rank() == 4 && k.rank() == 4 && k.sizes() == v.sizes() && q.size(0) == k.size(0) &&
            q.size(3) == k.size(3) && q.size(3) > 0,
        ErrorKind::Usage, "{}: q {}, k {}, v {}, want q [B, H, Tq, D], k and v [B, Hkv, Tk, D]", op,
        q.describe(), k.describe(), v.describe());
  check(k.size(1) > 0 && q.size(1) % k.size(1) == 0, ErrorKind::Usage,
        "{}: {} query heads are not a multiple of {} key heads", op, q.size(1), k.size(1));
  check(!a.causal || k.size(2) >= q.size(2), ErrorKind::Usage,
        "{}: causal with {} queries and {} keys, want at least as many keys", op, q.size(2),
        k.size(2));
  check(std::isfinite(a.scale), ErrorKind::Usage, "{}: scale is {}", op, a.scale);
  if (!offsets.defined()) return;
  check(offsets.rank() == 1 && offsets.dtype() == DType::i64 && offsets.numel() >= 1 &&
            q.size(2) == k.size(2),
        ErrorKind::Usage, "{}: offsets {} for {} queries and {} keys, want i64 [S + 1] and Tq = Tk",
        op, offsets.describe(), q.size(2), k.size(2));
  const auto cuts = offsets.to_vector<int64_t>();
  check(cuts.front() == 0 && cuts.back() == q.size(2) && std::is_sorted(cuts.begin(), cuts.end()),
        ErrorKind::Usage, "{}: offsets {}, want them rising from 0 to {}", op, to_string(cuts),
        q.size(2));
}

struct Case {
  const char* name;
  int64_t batch, heads, kv_heads, queries, keys, dim;
  AttentionAttrs attrs;
  std::vector<double> offsets = {};
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list = {
      {"plain", 2, 2, 2, 5, 7, 4, {}},
      {"one_head", 2, 1, 1, 9, 9, 8, {.scale = 0.7}},
      {"causal", 1, 2, 2, 6, 6, 4, {.causal = true}},
      {"causal_cache", 1, 2, 1, 3, 8, 4, {.causal = true}},
      {"grouped", 2, 4, 2, 5, 6, 3, {}},
      {"packed", 1, 2, 1, 9, 9, 4, {}, {0, 2, 2, 6, 9}},
      {"packed_causal", 2, 2, 2, 9, 9, 4, {.causal = true}, {0, 4, 9}},
      {"blocks", 1, 1, 1, 70, 300, 5, {}},
      {"blocks_causal", 1, 1, 1, 150, 150, 3, {.causal = true}},
      {"one_key", 1, 2, 2, 3, 1, 4, {}},
      {"no_keys", 1, 2, 2, 3, 0, 4, {}},
      {"no_queries", 1, 2, 2, 0, 3, 4, {}},
      {"empty", 0, 2, 2, 3, 3, 4, {}},
  };
  return list;
}

InputSpec offsets_spec(const std::vector<double>& values) {
  if (values.empty()) return none();
  InputSpec spec = ints({static_cast<int64_t>(values.size())}, 0, 0);
  spec.finish = [values](std::vector<double>& v) { v = values; };
  return spec;
}

}  // namespace

Metas Attention::infer(const Attrs& a, Inputs in) {
  const Tensor& q = in[0];
  check_problem(traits.name, a, q, in[1], in[2], in[3]);
  return {{q.sizes(), q.dtype(), {}},
          {{q.size(0), q.size(1), q.size(2)}, statistics(q.dtype()), {}}};
}

TensorVec Attention::backward(const Attrs& a, const BackwardArgs& g) {
  const TensorVec d = apply<AttentionBackward>(
      a, {g.grad(), g.input(0), g.input(1), g.input(2), g.output(0), g.output(1), g.input(3)});
  return {g.needs(0) ? d[0] : Tensor(), g.needs(1) ? d[1] : Tensor(), g.needs(2) ? d[2] : Tensor(),
          Tensor()};
}

std::vector<Sample> Attention::samples() {
  std::vector<Sample> out;
  for (const Case& c : cases())
    out.push_back({c.name,
                   {floats({c.batch, c.heads, c.queries, c.dim}),
                    floats({c.batch, c.kv_heads, c.keys, c.dim}),
                    floats({c.batch, c.kv_heads, c.keys, c.dim}), offsets_spec(c.offsets)},
                   make_attrs(c.attrs)});
  const auto refuse = [&](const char* name, Dims q, Dims k, Dims v, AttentionAttrs a,
                          std::vector<double> offsets = {}) {
    out.push_back(
        {name, {floats(q), floats(k), floats(v), offsets_spec(offsets)}, make_attrs(a), 0, true});
  };
  refuse("heads", {1, 3, 4, 2}, {1, 2, 4, 2}, {1, 2, 4, 2}, {});
  refuse("sizes", {1, 2, 4, 2}, {1, 2, 4, 3}, {1, 2, 4, 3}, {});
  refuse("value", {1, 2, 4, 2}, {1, 2, 4, 2}, {1, 2, 5, 2}, {});
  refuse("rank", {2, 4, 2}, {2, 4, 2}, {2, 4, 2}, {});
  refuse("few_keys", {1, 2, 4, 2}, {1, 2, 3, 2}, {1, 2, 3, 2}, {.causal = true});
  refuse("offsets", {1, 2, 4, 2}, {1, 2, 4, 2}, {1, 2, 4, 2}, {}, {0, 5});
  refuse("offsets_fall", {1, 2, 4, 2}, {1, 2, 4, 2}, {1, 2, 4, 2}, {}, {0, 3, 2, 4});
  return out;
}

Metas AttentionBackward::infer(const Attrs& a, Inputs in) {
  const Tensor &g = in[0], &q = in[1], &k = in[2];
  check_problem(traits.name, a, q, k, in[3], in[6]);
  check(g.sizes() == q.sizes() && in[4].sizes() == q.sizes() &&
            in[5].sizes() == Dims{q.size(0), q.size(1), q.size(2)} && is_float(in[5].dtype()),
        ErrorKind::Usage, "{}: g {}, o {}, log sum exp {} for q {}", traits.name, g.describe(),
        in[4].describe(), in[5].describe(), q.describe());
  return {{q.sizes(), q.dtype(), {}}, {k.sizes(), q.dtype(), {}}, {k.sizes(), q.dtype(), {}}};
}

std::vector<Sample> AttentionBackward::samples() {
  std::vector<Sample> out;
  for (const Case& c : cases()) {
    const Dims q{c.batch, c.heads, c.queries, c.dim}, k{c.batch, c.kv_heads, c.keys, c.dim};
    out.push_back({c.name,
                   {floats(q), floats(q), floats(k), floats(k), floats(q),
                    floats({c.batch, c.heads, c.queries}, 1, 3), offsets_spec(c.offsets)},
                   make_attrs(c.attrs)});
  }
  Sample bad = out[0];
  bad.name = "gradient";
  bad.inputs[0].shape = {2, 2, 5, 5};
  bad.refused = true;
  out.push_back(std::move(bad));
  return out;
}

}  // namespace tenon
