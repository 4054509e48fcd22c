#include "ops/index/index.h"

#include <cstring>

#include "core/simd/parallel.h"
#include "ops/registry/plain.h"
#include "ops/shape/views.h"

namespace tenon {

TENON_REGISTER_OP(IndexSelect);
TENON_REGISTER_OP(IndexAdd);
TENON_REGISTER_OP(Gather);
TENON_REGISTER_OP(ScatterAdd);

namespace {

constexpr int64_t kGrainBytes = 65536;  // bytes a thread moves at least

void check_index(const Tensor& index, const char* op) {
  check(index.dtype() == DType::i64, ErrorKind::Usage, "{}: the index is {}, want i64", op,
        index.describe());
}

// The values of a row-major index tensor, all inside [0, size).
std::span<const int64_t> checked(const Tensor& index, int64_t size, const char* op) {
  const std::span values(index.data<int64_t>(), static_cast<size_t>(index.numel()));
  for (size_t k = 0; k < values.size(); ++k)
    if (values[k] < 0 || values[k] >= size) [[unlikely]]
      throw_error(ErrorKind::Usage, "{}: index {} at position {} is outside [0, {})", op, values[k],
                  k, size);
  return values;
}

// Rows are moved as bytes, so every dtype is served.
void index_select_run(const KernelCall& call) {
  const auto& attrs = call.get<IndexSelect::Attrs>();
  const Tensor& x = call.in[0];
  const Around a(x.sizes(), attrs.dim);
  const auto index = checked(call.in[1], a.n, attrs.caller);
  const auto count = static_cast<int64_t>(index.size());
  const auto bytes = a.inner * static_cast<int64_t>(dtype_size(x.dtype()));
  if (bytes == 0) return;
  const char* from = static_cast<const char*>(x.raw());
  char* to = static_cast<char*>(call.out[0].raw());
  parallel_for(a.outer * count, kGrainBytes / bytes, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t row = i / count * a.n + index[static_cast<size_t>(i % count)];
      std::memcpy(to + i * bytes, from + row * bytes, static_cast<size_t>(bytes));
    }
  });
}

void index_add_ref(const KernelCall& call) {
  const auto& attrs = call.get<IndexAdd::Attrs>();
  const Tensor& x = call.in[0];
  const Around a(x.sizes(), attrs.dim);
  const auto index = checked(call.in[1], attrs.size, "index_add");
  const auto from = doubles(x);
  std::vector<double> out(static_cast<size_t>(call.out[0].numel()));
  for (int64_t o = 0; o < a.outer; ++o)
    for (int64_t k = 0; k < a.n; ++k)
      for (int64_t i = 0; i < a.inner; ++i)
        out[static_cast<size_t>((o * attrs.size + index[static_cast<size_t>(k)]) * a.inner + i)] +=
            from[static_cast<size_t>((o * a.n + k) * a.inner + i)];
  fill(call.out[0], out);
}

// Positions in order of their index (counting sort), so that each row of the result is summed by
// one thread, in order.
template <class T>
void index_add_typed(const KernelCall& call) {
  const auto& attrs = call.get<IndexAdd::Attrs>();
  const Around a(call.in[0].sizes(), attrs.dim);
  const auto index = checked(call.in[1], attrs.size, "index_add");
  std::vector<int64_t> start(static_cast<size_t>(attrs.size) + 1), order(index.size());
  for (const int64_t row : index) ++start[static_cast<size_t>(row) + 1];
  for (size_t r = 1; r < start.size(); ++r) start[r] += start[r - 1];
  std::vector<int64_t> next = start;
  for (size_t k = 0; k < index.size(); ++k)
    order[static_cast<size_t>(next[static_cast<size_t>(index[k])]++)] = static_cast<int64_t>(k);
  const T* x = call.in[0].data<T>();
  T* y = call.out[0].data<T>();
  parallel_for(a.outer * attrs.size, kGrainBytes / 4 / std::max<int64_t>(a.inner, 1),
               [&](int64_t begin, int64_t end) {
                 std::vector<Accumulator<T>> sum(static_cast<size_t>(a.inner));
                 for (int64_t job = begin; job < end; ++job) {
                   const int64_t o = job / attrs.size;
                   const auto row = static_cast<size_t>(job % attrs.size);
                   std::fill(sum.begin(), sum.end(), Accumulator<T>(0));
                   for (int64_t p = start[row]; p < start[row + 1]; ++p) {
                     const T* from = x + (o * a.n + order[static_cast<size_t>(p)]) * a.inner;
                     for (int64_t i = 0; i < a.inner; ++i)
                       sum[static_cast<size_t>(i)] += static_cast<Accumulator<T>>(from[i]);
                   }
                   for (int64_t i = 0; i < a.inner; ++i)
                     y[job * a.inner + i] = static_cast<T>(sum[static_cast<size_t>(i)]);
                 }
               });
}
void index_add_run(const KernelCall& call) {
  visit_float(call.in[0].dtype(), "index_add",
              [&](auto tag) { index_add_typed<typename decltype(tag)::type>(call); });
}

// Calls f(position in index, position in x) for every element of a row-major index tensor.
template <class F>
void each_index(const Tensor& index, const Dims& sizes, int64_t dim, const char* op, const F& f) {
  const auto values = checked(index, sizes[static_cast<size_t>(dim)], op);
  const Dims step = contiguous_strides(sizes);
  Dims at(sizes.size());
  for (size_t k = 0; k < values.size(); ++k) {
    int64_t where = 0;
    for (size_t d = 0; d < at.size(); ++d)
      where += (static_cast<int64_t>(d) == dim ? values[k] : at[d]) * step[d];
    f(static_cast<int64_t>(k), where);
    for (size_t d = at.size(); d-- > 0;) {
      if (++at[d] < index.sizes()[d]) break;
      at[d] = 0;
    }
  }
}

template <class Bits>
void gather_bits(const KernelCall& call) {
  const Bits* x = static_cast<const Bits*>(call.in[0].raw());
  Bits* y = static_cast<Bits*>(call.out[0].raw());
  each_index(call.in[1], call.in[0].sizes(), call.get<Gather::Attrs>().dim, "gather",
             [&](int64_t k, int64_t at) { y[k] = x[at]; });
}
void gather_run(const KernelCall& call) {
  switch (dtype_size(call.in[0].dtype())) {
    case 1:
      return gather_bits<uint8_t>(call);
    case 2:
      return gather_bits<uint16_t>(call);
    case 4:
      return gather_bits<uint32_t>(call);
    default:
      return gather_bits<uint64_t>(call);
  }
}

void scatter_add_run(const KernelCall& call) {
  auto x = doubles(call.in[0]);
  const auto src = doubles(call.in[2]);
  each_index(
      call.in[1], call.in[0].sizes(), call.get<ScatterAdd::Attrs>().dim, "scatter_add",
      [&](int64_t k, int64_t at) { x[static_cast<size_t>(at)] += src[static_cast<size_t>(k)]; });
  fill(call.out[0], x);
}

TENON_REGISTER_KERNEL(IndexSelect, {.name = "ref", .run = index_select_run});
TENON_REGISTER_KERNEL(IndexAdd, {.name = "ref", .run = index_add_ref});
TENON_REGISTER_KERNEL(IndexAdd, {.name = "sorted", .rank = kRankBase, .run = index_add_run});
TENON_REGISTER_KERNEL(Gather, {.name = "ref", .run = gather_run});
TENON_REGISTER_KERNEL(ScatterAdd, {.name = "ref", .run = scatter_add_run});

void check_gather(const Tensor& x, const Tensor& index, int64_t dim, const char* op) {
  check_dim(dim, x, op);
  check_index(index, op);
  bool ok = index.rank() == x.rank();
  for (int64_t d = 0; d < x.rank() && ok; ++d) ok = d == dim || index.size(d) <= x.size(d);
  check(ok, ErrorKind::Usage, "{}: index {} for {} along dim {}", op, index.describe(),
        x.describe(), dim);
}

}  // namespace

Metas IndexSelect::infer(const Attrs& a, Inputs in) {
  check_dim(a.dim, in[0], a.caller);
  check_index(in[1], a.caller);
  check(in[1].rank() == 1, ErrorKind::Usage, "{}: the index is {}, want rank 1", a.caller,
        in[1].describe());
  Dims sizes = in[0].sizes();
  sizes[static_cast<size_t>(a.dim)] = in[1].numel();
  return {{sizes, in[0].dtype(), {}}};
}
TensorVec IndexSelect::backward(const Attrs& a, const BackwardArgs& g) {
  const int64_t size = g.input_meta(0).sizes[static_cast<size_t>(a.dim)];
  return {apply<IndexAdd>({a.dim, size}, {g.grad(), g.input(1)})[0], Tensor()};
}
std::vector<Sample> IndexSelect::samples() {
  return {{"rows", {floats({5, 3}), ints({7}, 0, 4)}, make_attrs(Attrs{0})},
          {"middle", {floats({2, 4, 3}), ints({3}, 0, 3)}, make_attrs(Attrs{1})},
          {"columns", {floats({3, 4}), ints({6}, 0, 3)}, make_attrs(Attrs{1})},
          {"nothing", {floats({3, 4}), ints({0}, 0, 3)}, make_attrs(Attrs{0})},
          {"integers", {ints({5, 2}, 0, 99), ints({4}, 0, 4)}, make_attrs(Attrs{0})},
          {"too large", {floats({3, 4}), ints({2}, 3, 3)}, make_attrs(Attrs{0}), 0, true},
          {"negative", {floats({3, 4}), ints({2}, -1, -1)}, make_attrs(Attrs{0}), 0, true},
          {"float index", {floats({3, 4}), floats({2})}, make_attrs(Attrs{0}), 0, true},
          {"outside", {floats({3}), ints({2}, 0, 2)}, make_attrs(Attrs{1}), 0, true}};
}

Metas IndexAdd::infer(const Attrs& a, Inputs in) {
  check_dim(a.dim, in[0], traits.name);
  check_float(in[0], traits.name);
  check_index(in[1], traits.name);
  check(in[1].rank() == 1 && in[1].numel() == in[0].size(a.dim) && a.size >= 0, ErrorKind::Usage,
        "index_add: index {} for {} along dim {} into size {}", in[1].describe(), in[0].describe(),
        a.dim, a.size);
  Dims sizes = in[0].sizes();
  sizes[static_cast<size_t>(a.dim)] = a.size;
  return {{sizes, in[0].dtype(), {}}};
}
TensorVec IndexAdd::backward(const Attrs& a, const BackwardArgs& g) {
  return {index_select(g.grad(), a.dim, g.input(1)), Tensor()};
}
std::vector<Sample> IndexAdd::samples() {
  return {{"rows", {floats({9, 3}), ints({9}, 0, 4)}, make_attrs(Attrs{0, 5})},
          {"middle", {floats({2, 4, 3}), ints({4}, 0, 2)}, make_attrs(Attrs{1, 3})},
          {"nothing", {floats({0, 2}), ints({0}, 0, 1)}, make_attrs(Attrs{0, 3})},
          {"too large", {floats({2, 4}), ints({2}, 3, 3)}, make_attrs(Attrs{0, 3}), 0, true},
          {"length", {floats({2, 4}), ints({3}, 0, 1)}, make_attrs(Attrs{0, 3}), 0, true}};
}

Metas Gather::infer(const Attrs& a, Inputs in) {
  check_gather(in[0], in[1], a.dim, traits.name);
  return {{in[1].sizes(), in[0].dtype(), {}}};
}
TensorVec Gather::backward(const Attrs& a, const BackwardArgs& g) {
  const Tensor zeros =
      Tensor::zeros(g.input_meta(0).sizes, g.input_meta(0).dtype, g.grad().device());
  return {scatter_add(zeros, a.dim, g.input(1), g.grad()), Tensor()};
}
std::vector<Sample> Gather::samples() {
  return {{"rows", {floats({4, 5}), ints({4, 2}, 0, 4)}, make_attrs(Attrs{1})},
          {"columns", {floats({4, 5}), ints({3, 5}, 0, 3)}, make_attrs(Attrs{0})},
          {"middle", {floats({2, 3, 4}), ints({2, 6, 3}, 0, 2)}, make_attrs(Attrs{1})},
          {"nothing", {floats({4, 5}), ints({0, 5}, 0, 3)}, make_attrs(Attrs{0})},
          {"too large", {floats({2, 3}), ints({2, 1}, 3, 3)}, make_attrs(Attrs{1}), 0, true},
          {"rank", {floats({2, 3}), ints({2}, 0, 1)}, make_attrs(Attrs{1}), 0, true},
          {"sizes", {floats({2, 3}), ints({3, 1}, 0, 1)}, make_attrs(Attrs{1}), 0, true}};
}

Metas ScatterAdd::infer(const Attrs& a, Inputs in) {
  check_float(in[0], traits.name);
  check_gather(in[0], in[1], a.dim, traits.name);
  check_same_sizes(in[1], in[2], traits.name);
  check(in[0].dtype() == in[2].dtype(), ErrorKind::Usage, "scatter_add: {} into {}",
        in[2].describe(), in[0].describe());
  return {{in[0].sizes(), in[0].dtype(), {}}};
}
TensorVec ScatterAdd::backward(const Attrs& a, const BackwardArgs& g) {
  TensorVec out(3);
  if (g.needs(0)) out[0] = g.grad();
  if (g.needs(2)) out[2] = gather(g.grad(), a.dim, g.input(1));
  return out;
}
std::vector<Sample> ScatterAdd::samples() {
  return {{"rows", {floats({4, 5}), ints({4, 7}, 0, 4), floats({4, 7})}, make_attrs(Attrs{1})},
          {"columns", {floats({4, 5}), ints({6, 3}, 0, 3), floats({6, 3})}, make_attrs(Attrs{0})},
          {"nothing", {floats({4}), ints({0}, 0, 3), floats({0})}, make_attrs(Attrs{0})},
          {"too large", {floats({2}), ints({1}, 2, 2), floats({1})}, make_attrs(Attrs{0}), 0, true},
          {"shapes", {floats({2}), ints({1}, 0, 1), floats({2})}, make_attrs(Attrs{0}), 0, true}};
}

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index) {
  return apply<IndexSelect>({wrap_dim(dim, x.rank(), "index_select")}, {x, index})[0];
}
Tensor gather(const Tensor& x, int64_t dim, const Tensor& index) {
  return apply<Gather>({wrap_dim(dim, x.rank(), "gather")}, {x, index})[0];
}
Tensor scatter_add(const Tensor& x, int64_t dim, const Tensor& index, const Tensor& src) {
  return apply<ScatterAdd>({wrap_dim(dim, x.rank(), "scatter_add")}, {x, index, src})[0];
}
Tensor embedding(const Tensor& weight, const Tensor& ids) {
  check(weight.rank() == 2, ErrorKind::Usage, "embedding: weight {}, want [V, D]",
        weight.describe());
  Dims sizes = ids.sizes();
  sizes.push_back(weight.size(1));
  return reshape(apply<IndexSelect>({0, "embedding"}, {weight, reshape(ids, {ids.numel()})})[0],
                 sizes);
}
Tensor one_hot(const Tensor& ids, int64_t classes, DType dtype) {
  check(classes > 0, ErrorKind::Usage, "one_hot: {} classes", classes);
  check_index(ids, "one_hot");
  const Tensor rows = contiguous(ids.detach().to(Device{}));
  const auto values = checked(rows, classes, "one_hot");
  std::vector<double> out(values.size() * static_cast<size_t>(classes));
  for (size_t k = 0; k < values.size(); ++k)
    out[k * static_cast<size_t>(classes) + static_cast<size_t>(values[k])] = 1;
  Dims sizes = ids.sizes();
  sizes.push_back(classes);
  return cast(Tensor::from(out, sizes), dtype).to(ids.device());
}

}  // namespace tenon
