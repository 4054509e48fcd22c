// Plain loops in double: the judge of every other implementation.
#include "ops/attention/geometry.h"
#include "ops/registry/plain.h"

namespace tenon {
namespace {

// A tensor [B, H, T, D] (or without D) as rows of double.
struct Rows {
  std::vector<double> data;
  int64_t heads, length, dim;
  explicit Rows(const Tensor& t)
      : data(doubles(t)), heads(t.size(1)), length(t.size(2)), dim(t.rank() == 4 ? t.size(3) : 1) {}
  double* operator()(int64_t b, int64_t h, int64_t t) {
    return data.data() + ((b * heads + h) * length + t) * dim;
  }
};

double dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

template <class F>
void each_query(const AttentionGeometry& p, const F& f) {
  for (int64_t b = 0; b < p.batch; ++b)
    for (int64_t h = 0; h < p.heads; ++h)
      for (int64_t i = 0; i < p.queries; ++i)
        f(b, h, h / p.group(), i, p.visible[static_cast<size_t>(i)]);
}

void forward_ref(const KernelCall& call) {
  const AttentionGeometry p(call.get<AttentionAttrs>(), call.in[0], call.in[1], call.in[3]);
  Rows q(call.in[0]), k(call.in[1]), v(call.in[2]);
  std::vector<double> out, statistics;
  each_query(p, [&](int64_t b, int64_t h, int64_t hk, int64_t i, KeyRange seen) {
    std::vector<double> score;
    double top = -INFINITY, sum = 0;
    for (int64_t j = seen.begin; j < seen.end; ++j) {
      score.push_back(p.scale * dot(q(b, h, i), k(b, hk, j), p.dim));
      top = std::max(top, score.back());
    }
    for (double& s : score) sum += s = std::exp(s - top);
    const size_t at = out.size();
    out.resize(at + static_cast<size_t>(p.dim));
    for (int64_t j = seen.begin; j < seen.end; ++j)
      for (int64_t d = 0; d < p.dim; ++d)
        out[at + static_cast<size_t>(d)] +=
            score[static_cast<size_t>(j - seen.begin)] / sum * v(b, hk, j)[d];
    statistics.push_back(top + std::log(sum));
  });
  fill(call.out[0], out);
  if (call.out[1].defined()) fill(call.out[1], statistics);
}
TENON_REGISTER_KERNEL(Attention, {.name = "ref", .rank = kRankRef, .run = forward_ref});

void backward_ref(const KernelCall& call) {
  const AttentionGeometry p(call.get<AttentionAttrs>(), call.in[1], call.in[2], call.in[6]);
  Rows g(call.in[0]), q(call.in[1]), k(call.in[2]), v(call.in[3]), o(call.in[4]), lse(call.in[5]);
  Rows dq = q, dk = k, dv = k;
  for (Rows* r : {&dq, &dk, &dv}) std::fill(r->data.begin(), r->data.end(), 0.0);
  each_query(p, [&](int64_t b, int64_t h, int64_t hk, int64_t i, KeyRange seen) {
    const double delta = dot(g(b, h, i), o(b, h, i), p.dim);
    for (int64_t j = seen.begin; j < seen.end; ++j) {
      const double weight = std::exp(p.scale * dot(q(b, h, i), k(b, hk, j), p.dim) - *lse(b, h, i));
      const double ds = p.scale * weight * (dot(g(b, h, i), v(b, hk, j), p.dim) - delta);
      for (int64_t d = 0; d < p.dim; ++d) {
        dv(b, hk, j)[d] += weight * g(b, h, i)[d];
        dq(b, h, i)[d] += ds * k(b, hk, j)[d];
        dk(b, hk, j)[d] += ds * q(b, h, i)[d];
      }
    }
  });
  fill(call.out[0], dq.data);
  fill(call.out[1], dk.data);
  fill(call.out[2], dv.data);
}
TENON_REGISTER_KERNEL(AttentionBackward, {.name = "ref", .rank = kRankRef, .run = backward_ref});

}  // namespace
}  // namespace tenon
