#include "ops/pointwise/cast.h"

#include <cmath>

#include "core/simd/parallel.h"
#include "ops/pointwise/walk.h"

namespace tenon {

TENON_REGISTER_OP(Cast);

namespace {

template <class D, class S>
D convert(S x) {
  if constexpr (std::is_same_v<D, bool>)
    return static_cast<float>(x) != 0.0f;
  else if constexpr (is_half(dtype_of<D>))
    return D(static_cast<float>(x));
  else if constexpr (is_half(dtype_of<S>))
    return static_cast<D>(static_cast<float>(x));
  else
    return static_cast<D>(x);
}

// Copies a tile whose source and destination run along different axes, so that both sides stay in
// cache: rows of the tile are contiguous in dst, columns in src.
constexpr int64_t kTile = 32;

template <class S, class D>
void copy_walk(const Tensor& src, const Tensor& dst) {
  const Walk<2> walk(dst.sizes(), {dst.strides(), src.strides()});
  const S* from = src.data<S>();
  D* to = dst.data<D>();
  const int64_t ds = walk.inner_stride[0], ss = walk.inner_stride[1];
  const auto stretch = [&](int64_t d, int64_t s, int64_t n) {
    if (ds == 1 && ss == 1) {
      if constexpr (std::is_same_v<S, D>) {
        if (n) std::memcpy(to + d, from + s, static_cast<size_t>(n) * sizeof(D));
      } else {
        for (int64_t i = 0; i < n; ++i) to[d + i] = convert<D>(from[s + i]);
      }
    } else {
      for (int64_t i = 0; i < n; ++i) to[d + i * ds] = convert<D>(from[s + i * ss]);
    }
  };
  if (walk.outer == 0 || walk.inner == 0) return;
  constexpr int64_t kGrain = 32768;
  // A transpose: the source is contiguous along the last outer axis instead of the inner one.
  if (!walk.sizes.empty() && ss != 1 && walk.strides[1].back() == 1) {
    Walk<2> tiles = walk;
    const int64_t columns = tiles.sizes.back();
    const int64_t d_step = tiles.strides[0].back();
    tiles.sizes.pop_back();
    tiles.strides[0].pop_back();
    tiles.strides[1].pop_back();
    tiles.outer = walk.outer / columns;
    const int64_t bands = (columns + kTile - 1) / kTile;
    parallel_for(tiles.outer * bands, std::max<int64_t>(1, kGrain / (walk.inner * kTile)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t job = begin; job < end; ++job) {
                     const int64_t c0 = job % bands * kTile, c1 = std::min(c0 + kTile, columns);
                     tiles.each(job / bands, job / bands + 1, [&](const auto& at) {
                       for (int64_t r0 = 0; r0 < walk.inner; r0 += kTile) {
                         const int64_t r1 = std::min(r0 + kTile, walk.inner);
                         for (int64_t c = c0; c < c1; ++c)
                           for (int64_t r = r0; r < r1; ++r)
                             to[at[0] + c * d_step + r * ds] = convert<D>(from[at[1] + c + r * ss]);
                       }
                     });
                   }
                 });
    return;
  }
  if (walk.outer == 1) {
    parallel_for(walk.inner, kGrain,
                 [&](int64_t begin, int64_t end) { stretch(begin * ds, begin * ss, end - begin); });
    return;
  }
  parallel_for(walk.outer, std::max<int64_t>(1, kGrain / walk.inner),
               [&](int64_t begin, int64_t end) {
                 walk.each(begin, end, [&](const auto& at) { stretch(at[0], at[1], walk.inner); });
               });
}

void cast_run(const KernelCall& call) {
  copy_values(call.in[0], call.out[0]);
}

TENON_REGISTER_KERNEL(Cast, {.name = "ref", .rank = kRankRef, .run = cast_run});

}  // namespace

void copy_values(const Tensor& src, const Tensor& dst) {
  check(src.sizes() == dst.sizes(), ErrorKind::Internal, "copy_values: {} into {}", src.describe(),
        dst.describe());
  if (src.device().kind != DeviceKind::CPU || dst.device().kind != DeviceKind::CPU) {
    check(src.dtype() == dst.dtype(), ErrorKind::Usage, "copy_values: {} into {}", src.describe(),
          dst.describe());
    dst.copy_from(src);
    return;
  }
  dst.bump_version("copy_values");
  visit_all(src.dtype(), [&](auto s) {
    visit_all(dst.dtype(), [&](auto d) {
      copy_walk<typename decltype(s)::type, typename decltype(d)::type>(src, dst);
    });
  });
}

Metas Cast::infer(const Attrs& a, Inputs in) {
  return {dense_like(in[0], a.dtype)};
}

TensorVec Cast::backward(const Attrs&, const BackwardArgs& g) {
  const DType dtype = g.input_meta(0).dtype;
  return {is_float(dtype) && g.needs(0) ? cast(g.grad(), dtype) : Tensor()};
}

std::vector<Sample> Cast::samples() {
  Sample to_f32{"f32", {floats({3, 7})}, make_attrs(Attrs{DType::f32})};
  to_f32.inputs[0].differentiable = false;  // f32 is too coarse for finite differences
  Sample to_int{"integer", {floats({9}, -20, 20)}, make_attrs(Attrs{DType::i64})};
  to_int.inputs[0].differentiable = false;
  to_int.inputs[0].apart = 0.4;  // away from whole numbers, where rounding of the input decides
  return {to_f32,
          to_int,
          {"f64", {floats({2, 3, 2, 5})}, make_attrs(Attrs{DType::f64})},
          {"from integer", {ints({4, 3}, -9, 9)}, make_attrs(Attrs{DType::f64})},
          {"scalar", {floats({})}, make_attrs(Attrs{DType::f64})},
          {"empty", {floats({0, 4})}, make_attrs(Attrs{DType::f64})}};
}

Tensor cast(const Tensor& x, DType dtype) {
  return x.dtype() == dtype ? x : apply<Cast>({dtype}, {x})[0];
}

}  // namespace tenon
