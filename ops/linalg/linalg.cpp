#include "ops/linalg/linalg.h"

#include <Eigen/Eigenvalues>
#include <Eigen/SVD>
#include <cmath>

#include "core/simd/parallel.h"
#include "ops/linear/matmul.h"
#include "ops/pointwise/fn/maximum.h"
#include "ops/pointwise/fn/mul.h"
#include "ops/pointwise/fn/sqrt.h"
#include "ops/registry/plain.h"
#include "ops/shape/views.h"

namespace tenon {

TENON_REGISTER_OP(Eigh);
TENON_REGISTER_OP(EighBackward);
TENON_REGISTER_OP(Svd);

namespace {

using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

void check_matrices(const Tensor& x, const char* op, bool square) {
  check(x.dtype() == DType::f64 || x.dtype() == DType::f32, ErrorKind::Usage,
        "{}: dtype {} is not supported, want f64 or f32", op, dtype_name(x.dtype()));
  check(x.rank() >= 2 && (!square || x.size(-1) == x.size(-2)), ErrorKind::Usage,
        "{}: x is {}, want {} matrices [..., {}, n]", op, x.describe(), square ? "square" : "some",
        square ? "n" : "m");
}

Dims leading(const Tensor& x, std::initializer_list<int64_t> last) {
  Dims sizes(x.sizes().begin(), x.sizes().end() - 2);
  for (const int64_t n : last) sizes.push_back(n);
  return sizes;
}

// The matrices of a tensor as double, and results collected the same way.
struct Stack {
  std::vector<double> data;
  int64_t rows, cols;
  Stack(const Tensor& t, int64_t r, int64_t c, bool read) : rows(r), cols(c) {
    if (read)
      data = doubles(t);
    else
      data.resize(static_cast<size_t>(t.numel()));
  }
  Eigen::Map<Matrix> operator[](int64_t i) {
    return Eigen::Map<Matrix>(data.data() + i * rows * cols, rows, cols);
  }
};

int64_t matrices(const Tensor& x) {
  const int64_t each = x.size(-1) * x.size(-2);
  return each ? x.numel() / each : 0;
}

void check_finite(const std::vector<double>& values, const char* op) {
  for (const double v : values)
    check(std::isfinite(v), ErrorKind::NonFinite, "{}: a matrix holds {}", op, v);
}

// +1 or -1, so that the largest entry of the column becomes positive.
template <class Column>
double sign_of(const Column& column) {
  Eigen::Index at = 0;
  column.cwiseAbs().maxCoeff(&at);
  return column[at] < 0 ? -1 : 1;
}

// Samples with eigenvalues well apart.
InputSpec spread(Dims shape) {
  const int64_t n = shape.back();
  InputSpec spec = floats(std::move(shape));
  spec.finish = [n](std::vector<double>& v) {
    for (size_t i = 0; i < v.size(); ++i) {
      const auto r = static_cast<int64_t>(i) / n % n, c = static_cast<int64_t>(i) % n;
      v[i] = 0.3 * v[i] + (r == c ? static_cast<double>(2 * r) : 0);
    }
  };
  return spec;
}

}  // namespace

Metas Eigh::infer(const Attrs&, Inputs in) {
  const Tensor& x = in[0];
  check_matrices(x, traits.name, true);
  return {{leading(x, {x.size(-1)}), x.dtype(), {}}, {x.sizes(), x.dtype(), {}}};
}
TensorVec Eigh::backward(const Attrs&, const BackwardArgs& g) {
  return {apply<EighBackward>({}, {g.grad(0), g.grad(1), g.output(0), g.output(1)})[0]};
}
std::vector<Sample> Eigh::samples() {
  return {{"one", {spread({3, 3})}, make_attrs(Attrs{})},
          {"batch", {spread({2, 2, 4, 4})}, make_attrs(Attrs{})},
          {"number", {spread({3, 1, 1})}, make_attrs(Attrs{})},
          {"empty", {spread({0, 3, 3})}, make_attrs(Attrs{})},
          {"nothing", {floats({2, 0, 0})}, make_attrs(Attrs{})},
          {"not_square", {floats({3, 4})}, make_attrs(Attrs{}), 0, true},
          {"rank", {floats({3})}, make_attrs(Attrs{}), 0, true}};
}

Metas EighBackward::infer(const Attrs&, Inputs in) {
  const Tensor &w = in[2], &v = in[3];
  check_matrices(v, traits.name, true);
  check(w.sizes() == leading(v, {v.size(-1)}) && (!in[0].defined() || in[0].sizes() == w.sizes()) &&
            (!in[1].defined() || in[1].sizes() == v.sizes()),
        ErrorKind::Usage, "{}: w {} and V {} do not fit each other or their gradients", traits.name,
        w.describe(), v.describe());
  return {{v.sizes(), v.dtype(), {}}};
}
std::vector<Sample> EighBackward::samples() {
  const auto values = [](Dims shape) {
    InputSpec spec = floats(std::move(shape));
    spec.apart = 0.3;  // eigenvalues are divided by their differences
    return spec;
  };
  return {{"both",
           {floats({2, 3}), floats({2, 3, 3}), values({2, 3}), floats({2, 3, 3})},
           make_attrs(Attrs{})},
          {"values", {floats({4}), none(), values({4}), floats({4, 4})}, make_attrs(Attrs{})},
          {"vectors", {none(), floats({4, 4}), values({4}), floats({4, 4})}, make_attrs(Attrs{})},
          {"shapes", {none(), none(), values({3}), floats({4, 4})}, make_attrs(Attrs{}), 0, true}};
}

Metas Svd::infer(const Attrs&, Inputs in) {
  const Tensor& x = in[0];
  check_matrices(x, traits.name, false);
  const int64_t m = x.size(-2), n = x.size(-1), k = std::min(m, n);
  return {{leading(x, {m, k}), x.dtype(), {}},
          {leading(x, {k}), x.dtype(), {}},
          {leading(x, {n, k}), x.dtype(), {}}};
}
std::vector<Sample> Svd::samples() {
  return {{"tall", {spread({5, 3})}, make_attrs(Attrs{})},
          {"wide", {spread({2, 3, 4})}, make_attrs(Attrs{})},
          {"empty", {floats({2, 0, 3})}, make_attrs(Attrs{})},
          {"rank", {floats({3})}, make_attrs(Attrs{}), 0, true}};
}

EighResult eigh(const Tensor& x) {
  TensorVec out = apply<Eigh>({}, {x});
  return {out[0], out[1]};
}
SvdResult svd(const Tensor& x) {
  TensorVec out = apply<Svd>({}, {x});
  return {out[0], out[1], out[2]};
}
Tensor matrix_sqrt_psd(const Tensor& x) {
  const auto [w, v] = eigh(x);
  const Tensor root = sqrt(maximum(w, Tensor::scalar(0, w.dtype(), w.device())));
  return matmul(mul(v, unsqueeze(root, -2)), transpose(v, -1, -2));
}

namespace {

void eigh_run(const KernelCall& call) {
  const int64_t n = call.in[0].size(-1);
  Stack x(call.in[0], n, n, true), w(call.out[0], n, 1, false), v(call.out[1], n, n, false);
  check_finite(x.data, Eigh::traits.name);
  parallel_for(matrices(call.in[0]), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver((x[i] + x[i].transpose()) / 2);
      check(solver.info() == Eigen::Success, ErrorKind::NonFinite, "{}: no convergence",
            Eigh::traits.name);
      w[i] = solver.eigenvalues();
      for (int64_t c = 0; c < n; ++c)
        v[i].col(c) = sign_of(solver.eigenvectors().col(c)) * solver.eigenvectors().col(c);
    }
  });
  fill(call.out[0], w.data);
  fill(call.out[1], v.data);
}
TENON_REGISTER_KERNEL(Eigh, {.name = "ref", .rank = kRankRef, .run = eigh_run});

// dA = V (diag(dw) + F o (V^T dV)) V^T, symmetric part, F_ij = 1 / (w_j - w_i) off the diagonal
// (Giles, "Collected matrix derivative results", 2008, section 3.1).
void eigh_backward_run(const KernelCall& call) {
  const int64_t n = call.in[3].size(-1);
  Stack w(call.in[2], n, 1, true), v(call.in[3], n, n, true), dx(call.out[0], n, n, false);
  Stack dw = w, dv = v;
  if (call.in[0].defined()) dw.data = doubles(call.in[0]);
  if (call.in[1].defined()) dv.data = doubles(call.in[1]);
  parallel_for(matrices(call.in[3]), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Matrix inner = Matrix::Zero(n, n);
      if (call.in[1].defined()) {
        inner = v[i].transpose() * dv[i];
        for (int64_t r = 0; r < n; ++r)
          for (int64_t c = 0; c < n; ++c)
            inner(r, c) = r == c ? 0 : inner(r, c) / (w[i](c, 0) - w[i](r, 0));
      }
      if (call.in[0].defined()) inner.diagonal() += dw[i].col(0);
      const Matrix full = v[i] * inner * v[i].transpose();
      dx[i] = (full + full.transpose()) / 2;
    }
  });
  fill(call.out[0], dx.data);
}
TENON_REGISTER_KERNEL(EighBackward, {.name = "ref", .rank = kRankRef, .run = eigh_backward_run});

void svd_run(const KernelCall& call) {
  const int64_t m = call.in[0].size(-2), n = call.in[0].size(-1), k = std::min(m, n);
  Stack x(call.in[0], m, n, true), u(call.out[0], m, k, false), s(call.out[1], k, 1, false),
      v(call.out[2], n, k, false);
  check_finite(x.data, Svd::traits.name);
  parallel_for(matrices(call.in[0]), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Eigen::JacobiSVD<Eigen::MatrixXd> solver(x[i],
                                                     Eigen::ComputeThinU | Eigen::ComputeThinV);
      s[i] = solver.singularValues();
      for (int64_t c = 0; c < k; ++c) {
        const double sign = sign_of(solver.matrixU().col(c));
        u[i].col(c) = sign * solver.matrixU().col(c);
        v[i].col(c) = sign * solver.matrixV().col(c);
      }
    }
  });
  fill(call.out[0], u.data);
  fill(call.out[1], s.data);
  fill(call.out[2], v.data);
}
TENON_REGISTER_KERNEL(Svd, {.name = "ref", .rank = kRankRef, .run = svd_run});

}  // namespace
}  // namespace tenon
