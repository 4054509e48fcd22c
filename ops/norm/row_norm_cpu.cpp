// Layer and RMS norm: each row is read from memory once and normalised while it is in the cache.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/simd/parallel.h"
#include "core/simd/vec.h"
#include "ops/norm/row_norm.h"
#include "ops/registry/cpu.h"

namespace tenon::TENON_TARGET {
namespace {

// A parameter in the computing type, padded to whole vectors.
template <class V, class C = typename V::Element>
std::vector<C> read(const Tensor& t, int64_t d, double otherwise) {
  std::vector<C> out(static_cast<size_t>(d + V::size), static_cast<C>(otherwise));
  if (t.defined())
    visit_float(t.dtype(), "row_norm", [&](auto tag) {
      const auto* p = t.data<typename decltype(tag)::type>();
      for (int64_t i = 0; i < d; i++) out[static_cast<size_t>(i)] = static_cast<C>(p[i]);
    });
  return out;
}

// Sum of f(i, x of i) over a row; lanes past the end are given as zero and must add zero.
template <class V, class T, class F>
TENON_INLINE V sum_row(const T* x, int64_t d, F&& f) {
  V sum(typename V::Element(0));
  int64_t i = 0;
  for (; i + V::size <= d; i += V::size) sum += f(i, load(x + i));
  if (i < d) sum += f(i, load(x + i, d - i));
  return sum;
}

// The first n lanes of v, zero in the others.
template <class V>
TENON_INLINE V first_lanes(const V& v, int64_t n) {
  if (n >= V::size) return v;
  typename V::Element lane[V::size] = {};
  store(v, static_cast<typename V::Element*>(lane), n);
  return load(static_cast<const typename V::Element*>(lane));
}

int64_t row_grain(int64_t d) {
  return std::max<int64_t>(1, 16384 / d);
}

void forward(const KernelCall& call, bool centred, const Tensor& beta_in, const Tensor* mean_out,
             const Tensor& rstd_out) {
  const Tensor& x = call.in[0];
  const double eps = call.get<RowNormAttrs>().eps;
  const int64_t d = x.size(-1), rows = x.numel() / d;
  visit_float(x.dtype(), "row_norm", [&](auto tag) {
    using T = typename decltype(tag)::type;
    using V = vec_for<T>;
    using C = typename V::Element;
    const auto gamma = read<V>(call.in[1], d, 1), beta = read<V>(beta_in, d, 0);
    C* means = mean_out ? mean_out->data<C>() : nullptr;
    C* rstds = rstd_out.data<C>();
    parallel_for(rows, row_grain(d), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; r++) {
        const T* from = x.data<T>() + r * d;
        T* to = call.out[0].data<T>() + r * d;
        C mean = 0;
        if (centred)
          mean = horizontal_sum(sum_row<V>(from, d, [](int64_t, const V& v) { return v; })) /
                 static_cast<C>(d);
        const V squares = sum_row<V>(from, d, [&](int64_t i, const V& v) {
          const V c = first_lanes(v - mean, d - i);
          return c * c;
        });
        const C rstd = static_cast<C>(
            1 /
            std::sqrt(static_cast<double>(horizontal_sum(squares)) / static_cast<double>(d) + eps));
        if (means) means[r] = mean;
        rstds[r] = rstd;
        for (int64_t i = 0; i < d; i += V::size) {
          const V xhat = (load(from + i, d - i) - mean) * rstd;
          store(fma(xhat, load(gamma.data() + i), load(beta.data() + i)), to + i, d - i);
        }
      }
    });
  });
}

void layer_norm(const KernelCall& call) {
  forward(call, true, call.in[2], &call.out[1], call.out[2]);
}
void rms_norm(const KernelCall& call) {
  forward(call, false, Tensor(), nullptr, call.out[1]);
}

void backward(const KernelCall& call) {
  const Tensor &g = call.in[0], &x = call.in[1], &mean = call.in[3], &rstd = call.in[4];
  const int64_t d = x.size(-1), rows = x.numel() / d;
  visit_float(x.dtype(), "row_norm_backward", [&](auto tag) {
    using T = typename decltype(tag)::type;
    using V = vec_for<T>;
    using C = typename V::Element;
    const auto gamma = read<V>(call.in[2], d, 1);
    const auto means = read<V>(mean, mean.defined() ? rows : 0, 0), rstds = read<V>(rstd, rows, 0);
    const bool centred = mean.defined();
    // At most 32 pieces, by the number of rows alone: the column sums do not depend on the threads.
    const int64_t piece = std::max<int64_t>(row_grain(d), (rows + 31) / 32);
    const int64_t pieces = (rows + piece - 1) / piece, padded = d + V::size;
    std::vector<C> partial(static_cast<size_t>(2 * pieces * padded));
    parallel_for(pieces, 1, [&](int64_t first, int64_t last) {
      for (int64_t k = first; k < last; k++) {
        C *dgamma = partial.data() + 2 * k * padded, *dbeta = dgamma + padded;
        for (int64_t r = k * piece; r < std::min(rows, (k + 1) * piece); r++) {
          const T *gr = g.data<T>() + r * d, *xr = x.data<T>() + r * d;
          T* to = call.out[0].data<T>() + r * d;
          const C scale = rstds[static_cast<size_t>(r)];
          const C centre = centred ? means[static_cast<size_t>(r)] : C(0);
          V s1(C(0)), s2(C(0));
          for (int64_t i = 0; i < d; i += V::size) {
            const V gv = load(gr + i, d - i), xhat = (load(xr + i, d - i) - centre) * scale;
            const V dxhat = gv * load(gamma.data() + i);
            s1 += dxhat;
            s2 = fma(dxhat, xhat, s2);
            store(fma(gv, xhat, load(dgamma + i)), dgamma + i);
            store(load(dbeta + i) + gv, dbeta + i);
          }
          const C c1 = centred ? horizontal_sum(s1) / static_cast<C>(d) : C(0);
          const C c2 = horizontal_sum(s2) / static_cast<C>(d);
          for (int64_t i = 0; i < d; i += V::size) {
            const V xhat = (load(xr + i, d - i) - centre) * scale;
            const V dxhat = load(gr + i, d - i) * load(gamma.data() + i);
            store((dxhat - c1 - xhat * c2) * scale, to + i, d - i);
          }
        }
      }
    });
    for (int64_t i = 0; i < d; i++) {
      double dgamma = 0, dbeta = 0;
      for (int64_t k = 0; k < pieces; k++) {
        dgamma += static_cast<double>(partial[static_cast<size_t>(2 * k * padded + i)]);
        dbeta += static_cast<double>(partial[static_cast<size_t>((2 * k + 1) * padded + i)]);
      }
      call.out[1].data<C>()[i] = static_cast<C>(dgamma);
      call.out[2].data<C>()[i] = static_cast<C>(dbeta);
    }
  });
}

TENON_REGISTER_CPU(LayerNorm, layer_norm, nullptr);
TENON_REGISTER_CPU(RmsNorm, rms_norm, nullptr);
TENON_REGISTER_CPU(RowNormBackward, backward, nullptr);

}  // namespace
}  // namespace tenon::TENON_TARGET
