#include "ops/random/random.h"

#include <algorithm>

#include "ops/pointwise/graph.h"
#include "ops/registry/plain.h"

namespace tenon {

TENON_REGISTER_OP(RandomUniform);
TENON_REGISTER_OP(RandomNormal);
TENON_REGISTER_OP(Dropout);

namespace {

float random_value(bool normal, RngKey key, int64_t i, int64_t row) {
  const Philox4 r = key.block(static_cast<uint64_t>(i / 4), static_cast<uint64_t>(row));
  const int word = static_cast<int>(i % 4);
  if (!normal) return uniform_from_bits(r.v[word]);
  float pair[2];
  normal_pair(r.v[word & 2], r.v[word | 1], &pair[0], &pair[1]);
  return pair[word & 1];
}

template <bool Normal>
void random_ref(const KernelCall& call) {
  const auto& a = call.get<typename RandomOp<Normal>::Attrs>();
  std::vector<double> out(static_cast<size_t>(call.out[0].numel()));
  const auto count = static_cast<int64_t>(out.size());
  const bool by_row = call.in[0].defined();
  const int64_t length = by_row && count ? count / a.sizes[0] : count;
  for (int64_t i = 0; i < count; ++i)
    out[static_cast<size_t>(i)] = random_value(Normal, a.key, i % length,
                                               by_row ? call.in[0].data<int64_t>()[i / length] : 0);
  fill(call.out[0], out);
}

void dropout_ref(const KernelCall& call) {
  const auto& a = call.get<Dropout::Attrs>();
  const Tensor& out = call.out[0];
  copy_values(call.in[0], out);
  // In memory order.
  const Tensor flat = Tensor::view_of(out.storage(), {out.numel()}, {1}, out.offset(), out.dtype());
  std::vector<double> v = doubles(flat);
  for (size_t i = 0; i < v.size(); ++i) {
    const bool kept =
        random_value(false, a.key, static_cast<int64_t>(i), 0) >= static_cast<float>(a.p);
    v[i] = kept ? v[i] / (1 - a.p) : 0;
  }
  fill(flat, v);
}

TENON_REGISTER_KERNEL(RandomUniform, {.name = "ref", .run = random_ref<false>});
TENON_REGISTER_KERNEL(RandomNormal, {.name = "ref", .run = random_ref<true>});
TENON_REGISTER_KERNEL(Dropout, {.name = "ref", .run = dropout_ref});

}  // namespace

template <bool Normal>
Metas RandomOp<Normal>::infer(const Attrs& a, Inputs in) {
  check(is_float(a.dtype), ErrorKind::Usage, "{}: dtype {} is not supported", traits.name,
        dtype_name(a.dtype));
  for (const int64_t n : a.sizes)
    check(n >= 0, ErrorKind::Usage, "{}: sizes {}", traits.name, to_string(a.sizes));
  const Tensor& rows = in[0];
  check(!rows.defined() || (rows.dtype() == DType::i64 && rows.rank() == 1 && !a.sizes.empty() &&
                            rows.numel() == a.sizes[0]),
        ErrorKind::Usage, "{}: rows {} for sizes {}, want i64 and one per position of axis 0",
        traits.name, rows.defined() ? rows.describe() : "", to_string(a.sizes));
  return {{a.sizes, a.dtype, {}}};
}
template <bool Normal>
std::vector<Sample> RandomOp<Normal>::samples() {
  const RngKey key{12345};
  return {{"one stream", {none()}, make_attrs(Attrs{{3, 37}, key})},
          {"long", {none()}, make_attrs(Attrs{{70001}, key})},
          {"rows", {ints({5}, 0, 1000)}, make_attrs(Attrs{{5, 3, 7}, key})},
          {"f64", {none()}, make_attrs(Attrs{{9}, key, DType::f64})},
          {"bf16", {none()}, make_attrs(Attrs{{19}, key, DType::bf16})},
          {"scalar", {none()}, make_attrs(Attrs{{}, key})},
          {"empty", {none()}, make_attrs(Attrs{{2, 0}, key})},
          {"wrong rows", {ints({4}, 0, 9)}, make_attrs(Attrs{{5, 3}, key}), 0, true},
          {"integer", {none()}, make_attrs(Attrs{{3}, key, DType::i64}), 0, true}};
}

Metas Dropout::infer(const Attrs& a, Inputs in) {
  check_float(in[0], traits.name);
  check(a.p >= 0 && a.p < 1, ErrorKind::Usage, "dropout: p is {}, want 0 <= p < 1", a.p);
  check(!a.channels_last || in[0].rank() == 4, ErrorKind::Usage,
        "dropout: channels-last wants rank 4, got {}", in[0].describe());
  return {{in[0].sizes(), in[0].dtype(),
           a.channels_last ? channels_last_strides(in[0].sizes()) : Dims{}}};
}
TensorVec Dropout::backward(const Attrs& a, const BackwardArgs& g) {
  return {apply<Dropout>(a, {g.grad()})[0]};
}
std::vector<Sample> Dropout::samples() {
  const RngKey key{7};
  return {{"odd", {floats({3, 37})}, make_attrs(Attrs{0.4, key})},
          {"image", {floats({2, 5, 3, 4})}, make_attrs(Attrs{0.5, key, true})},
          {"none", {floats({9})}, make_attrs(Attrs{0, key})},
          {"scalar", {floats({})}, make_attrs(Attrs{0.25, key})},
          {"empty", {floats({0, 3})}, make_attrs(Attrs{0.25, key})},
          {"long", {floats({1, 40009})}, make_attrs(Attrs{0.1, key})},
          {"all", {floats({3})}, make_attrs(Attrs{1, key}), 0, true}};
}

Tensor random_uniform(Dims sizes, RngKey key, DType dtype, Device device, const Tensor& rows) {
  return apply<RandomUniform>({std::move(sizes), key, dtype, device}, {rows})[0];
}
Tensor random_normal(Dims sizes, RngKey key, DType dtype, Device device, const Tensor& rows) {
  return apply<RandomNormal>({std::move(sizes), key, dtype, device}, {rows})[0];
}
Tensor bernoulli(Dims sizes, double p, RngKey key, DType dtype, Device device) {
  const Tensor u = random_uniform(std::move(sizes), key, DType::f32, device);
  return graph::cast(graph::lt(u, Tensor::scalar(p, DType::f32, device)), dtype);
}
Tensor randperm(int64_t n, RngKey key) {
  check(n >= 0, ErrorKind::Usage, "randperm: {} numbers", n);
  std::vector<std::pair<uint64_t, int64_t>> draws;
  for (int64_t i = 0; i < n; ++i) {
    const Philox4 r = key.block(static_cast<uint64_t>(i));
    draws.emplace_back(static_cast<uint64_t>(r.v[0]) << 32 | r.v[1], i);
  }
  std::sort(draws.begin(), draws.end());
  std::vector<int64_t> order;
  for (const auto& [draw, i] : draws) order.push_back(i);
  return Tensor::from(order, {n});
}
Tensor dropout(const Tensor& x, double p, RngKey key) {
  return p == 0 ? x : apply<Dropout>({p, key, x.is_channels_last()}, {x})[0];
}

}  // namespace tenon
