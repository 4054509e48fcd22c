#include "models/qac/solvers.h"

#include <algorithm>
#include <cmath>

#include <Eigen/Dense>

#include "ops/ops.h"

namespace tenon::qac {

namespace {

// a x + b y.
Tensor combine(double a, const Tensor& x, double b, const Tensor& y) {
  return add(affine(x, a, 0), affine(y, b, 0));
}

// The walk over the levels that all solvers share: they differ in how one step is made.
class Solver {
 public:
  Solver(const SolverConfig& c, const Denoiser& d, const std::vector<double>& levels,
         const StepNoise& noise)
      : c_(c), denoise_(d), t_(levels), noise_(noise) {
    if (c.name == "edm") t_.push_back(0);
  }

  int64_t steps() const { return static_cast<int64_t>(t_.size()) - 1; }

  Tensor step(int64_t i, const Tensor& x) {
    if (c_.name == "ddim") return euler(i, x);
    if (c_.name == "heun") return heun(i, x);
    if (c_.name == "dpm2") return dpm2(i, x);
    if (c_.name == "ipndm") return ipndm(i, x);
    if (c_.name == "edm") return edm(i, x);
    if (c_.name == "dpmpp") return dpmpp(i, x);
    return unipc(i, x);
  }

 private:
  double t(int64_t i) const { return t_[static_cast<size_t>(i)]; }
  double lambda(int64_t i) const { return -std::log(t(i)); }

  Tensor direction(const Tensor& x, double s) { return affine(sub(x, denoise_(x, s)), 1 / s, 0); }
  Tensor data(const Tensor& x, double s) {
    const Tensor d = denoise_(x, s);
    return c_.thresholding ? dynamic_threshold(d) : d;
  }

  Tensor euler(int64_t i, const Tensor& x) {
    const Tensor d =
        c_.afs && i == 0 ? affine(x, 1 / std::sqrt(1 + t(i) * t(i)), 0) : direction(x, t(i));
    return combine(1, x, t(i + 1) - t(i), d);
  }

  Tensor heun(int64_t i, const Tensor& x) {
    const double h = t(i + 1) - t(i);
    const Tensor d = direction(x, t(i));
    const Tensor d2 = direction(combine(1, x, h, d), t(i + 1));
    return combine(1, x, h / 2, add(d, d2));
  }

  Tensor dpm2(int64_t i, const Tensor& x) {
    constexpr double r = 0.5;
    const double mid = std::pow(t(i + 1), r) * std::pow(t(i), 1 - r);
    const Tensor d = direction(x, t(i));
    const Tensor dm = direction(combine(1, x, mid - t(i), d), mid);
    return combine(1, x, t(i + 1) - t(i), combine(1 / (2 * r), dm, 1 - 1 / (2 * r), d));
  }

  Tensor ipndm(int64_t i, const Tensor& x) {
    // Adams-Bashforth weights of orders 1 to 4, newest direction first.
    static const std::vector<std::vector<double>> weights = {
        {1.0},
        {3.0 / 2, -1.0 / 2},
        {23.0 / 12, -16.0 / 12, 5.0 / 12},
        {55.0 / 24, -59.0 / 24, 37.0 / 24, -9.0 / 24}};
    history_.insert(history_.begin(), direction(x, t(i)));
    const auto order = static_cast<size_t>(std::min<int64_t>(c_.order, i + 1));
    if (history_.size() > 4) history_.pop_back();
    Tensor sum = affine(history_[0], weights[order - 1][0], 0);
    for (size_t j = 1; j < order; ++j) sum = combine(1, sum, weights[order - 1][j], history_[j]);
    return combine(1, x, t(i + 1) - t(i), sum);
  }

  Tensor edm(int64_t i, const Tensor& given) {
    const Churn& c = c_.churn;
    const double n = static_cast<double>(steps());
    double now = t(i);
    Tensor x = given;
    if (c.churn > 0 && now >= c.min && now <= c.max) {
      const double gamma = std::min(c.churn / n, std::sqrt(2.0) - 1);
      const double raised = now + gamma * now;
      check(static_cast<bool>(noise_), ErrorKind::Internal, "edm: churn without a noise source");
      x = combine(1, x, std::sqrt(raised * raised - now * now) * c.noise, noise_(i, x.sizes()));
      now = raised;
    }
    const double next = t(i + 1), h = next - now;
    const Tensor d = direction(x, now);
    const Tensor moved = combine(1, x, h, d);
    if (next == 0) return moved;
    return combine(1, x, h / 2, add(d, direction(moved, next)));
  }

  int64_t order_at(int64_t i) const {
    return i + 1 < c_.order ? i + 1 : std::min(c_.order, steps() - i);
  }

  void remember(const Tensor& d) {
    history_.insert(history_.begin(), d);
    if (history_.size() > 3) history_.pop_back();
  }

  // DPM-Solver++(kM), data prediction (Lu et al., arXiv 2211.01095).
  Tensor dpmpp(int64_t i, const Tensor& x) {
    remember(data(x, t(i)));
    const Tensor& x0 = history_[0];
    const double h = lambda(i + 1) - lambda(i), p1 = std::expm1(-h);
    const Tensor base = combine(t(i + 1) / t(i), x, -p1, x0);
    const int64_t order = order_at(i);
    if (order == 1) return base;
    const double r0 = (lambda(i) - lambda(i - 1)) / h;
    const Tensor a = affine(sub(x0, history_[1]), 1 / r0, 0);
    if (order == 2) return combine(1, base, -p1 / 2, a);
    const double r1 = (lambda(i - 1) - lambda(i - 2)) / h;
    const Tensor b = affine(sub(history_[1], history_[2]), 1 / r1, 0);
    const Tensor d = sub(a, b);
    const Tensor d1 = combine(1, a, r0 / (r0 + r1), d);
    const Tensor d2 = affine(d, 1 / (r0 + r1), 0);
    const double p2 = p1 / h + 1, p3 = p2 / h - 0.5;
    return combine(1, combine(1, base, p2, d1), -p3, d2);
  }

  // UniPC with data prediction (Zhao et al., arXiv 2302.04867). The model output at the predicted
  // point serves as the next step's, so a step costs one call.
  Tensor unipc(int64_t i, const Tensor& x) {
    if (i == 0) remember(data(x, t(0)));
    const Tensor x0 = history_[0];
    const double h = lambda(i + 1) - lambda(i), hh = -h, p1 = std::expm1(hh);
    const double scale = c_.unipc_variant == "bh1" ? hh : p1;
    const auto order = static_cast<int>(order_at(i));
    std::vector<double> r;
    std::vector<Tensor> d;
    for (int j = 1; j < order; ++j) {
      r.push_back((lambda(i - j) - lambda(i)) / h);
      d.push_back(affine(sub(history_[static_cast<size_t>(j)], x0), 1 / r.back(), 0));
    }
    r.push_back(1);
    Eigen::MatrixXd rows(order, order);
    Eigen::VectorXd b(order);
    double f = p1 / hh - 1, factorial = 1;
    for (int m = 0; m < order; ++m) {
      for (int j = 0; j < order; ++j) rows(m, j) = std::pow(r[static_cast<size_t>(j)], m);
      b(m) = f * factorial / scale;
      factorial *= m + 2;
      f = f / hh - 1 / factorial;
    }
    const Tensor base = combine(t(i + 1) / t(i), x, -p1, x0);
    Tensor predicted = base;
    if (order == 2) {
      predicted = combine(1, base, -scale / 2, d[0]);
    } else if (order > 2) {
      const Eigen::VectorXd rho =
          rows.topLeftCorner(order - 1, order - 1).partialPivLu().solve(b.head(order - 1));
      for (int j = 0; j + 1 < order; ++j)
        predicted = combine(1, predicted, -scale * rho(j), d[static_cast<size_t>(j)]);
    }
    if (i + 1 == steps()) return predicted;
    const Tensor next = data(predicted, t(i + 1));
    Eigen::VectorXd rho(order);
    if (order == 1)
      rho(0) = 0.5;
    else
      rho = rows.partialPivLu().solve(b);
    Tensor out = base;
    for (int j = 0; j + 1 < order; ++j)
      out = combine(1, out, -scale * rho(j), d[static_cast<size_t>(j)]);
    out = combine(1, out, -scale * rho(order - 1), sub(next, x0));
    remember(next);
    return out;
  }

  const SolverConfig& c_;
  const Denoiser& denoise_;
  std::vector<double> t_;
  const StepNoise& noise_;
  std::vector<Tensor> history_;  // newest first: directions or data predictions
};

void check_config(const SolverConfig& c) {
  static const std::vector<std::pair<std::string, int64_t>> known = {
      {"ddim", 0}, {"heun", 0}, {"dpm2", 0}, {"edm", 0}, {"ipndm", 4}, {"dpmpp", 3}, {"unipc", 3}};
  for (const auto& [name, max_order] : known)
    if (c.name == name) {
      check(max_order == 0 || (c.order >= 1 && c.order <= max_order), ErrorKind::Usage,
            "solver {}: order {}, want 1 to {}", name, c.order, max_order);
      check(c.unipc_variant == "bh1" || c.unipc_variant == "bh2", ErrorKind::Usage,
            "unipc variant '{}', want bh1 or bh2", c.unipc_variant);
      return;
    }
  throw_error(ErrorKind::Usage, "solver '{}', want ddim, heun, dpm2, ipndm, dpmpp, unipc or edm",
              c.name);
}

}  // namespace

Tensor solve(const SolverConfig& config, const Denoiser& denoise, const Tensor& start,
             const std::vector<double>& levels, const StepNoise& noise,
             const StepCallback& on_step) {
  check_config(config);
  check(levels.size() >= 2, ErrorKind::Usage, "a solver needs two noise levels or more");
  const NoGrad off;
  Tensor x = cast(start, DType::f64);
  Solver solver(config, denoise, levels, noise);
  const auto report = [&](int64_t i) {
    if (on_step && !on_step(i, x))
      throw_error(ErrorKind::Stopped, "sampling was stopped at step {} of {}", i, solver.steps());
  };
  report(0);
  for (int64_t i = 0; i < solver.steps(); ++i) {
    x = solver.step(i, x);
    report(i + 1);
  }
  return x;
}

int64_t solver_nfe(const SolverConfig& c, int64_t n) {
  if (c.name == "heun" || c.name == "dpm2") return 2 * (n - 1);
  if (c.name == "edm") return 2 * n - 1;
  return n - 1 - (c.name == "ddim" && c.afs ? 1 : 0);
}

int64_t solver_levels(const SolverConfig& c, int64_t nfe) {
  check_config(c);
  for (int64_t n = c.name == "edm" ? 1 : 2; n <= nfe + 2; ++n)
    if (solver_nfe(c, n) == nfe && n >= 2) return n;
  const bool odd = c.name == "edm";  // and at least 3
  throw_hint(ErrorKind::Usage, fmt::format("try --nfe {}", nfe + (odd && nfe == 1 ? 2 : 1)),
             "solver {} cannot make {} network calls: it makes an {} number", c.name, nfe,
             odd ? "odd" : "even");
}

std::string describe(const SolverConfig& c, const GridConfig& grid, int64_t n) {
  std::string name = c.name;
  if (c.name == "ipndm") name = fmt::format("iPNDM-{}", c.order);
  if (c.name == "dpmpp") name = fmt::format("DPM-Solver++({}M)", c.order);
  if (c.name == "unipc") name = fmt::format("UniPC-{} {}", c.order, c.unipc_variant);
  if (c.name == "ddim") name = "DDIM";
  if (c.name == "heun") name = "Heun";
  if (c.name == "dpm2") name = "DPM-Solver-2";
  if (c.name == "edm") name = "EDM Heun";
  std::string out = fmt::format("{}, {} grid", name, grid.kind);
  if (grid.kind == "polynomial" || grid.kind == "time_uniform")
    out += fmt::format(" rho {}", grid.rho);
  if (c.thresholding) out += ", thresholding";
  return out + fmt::format(", NFE {}", solver_nfe(c, n));
}

Tensor dynamic_threshold(const Tensor& x) {
  const int64_t n = x.size(0);
  const Tensor v = clamp(quantile(abs(flatten(contiguous(x), 1)), 0.995, 1), 1, 1e300);
  const Tensor limit = reshape(v, {n, 1, 1, 1});
  return div(maximum(minimum(x, limit), neg(limit)), limit);
}

std::vector<uint8_t> to_pixels(const Tensor& x) {
  const std::vector<double> v = permute(cast(x, DType::f64), {0, 2, 3, 1}).to_vector<double>();
  std::vector<uint8_t> out(v.size());
  for (size_t i = 0; i < v.size(); ++i)
    out[i] = static_cast<uint8_t>(std::clamp(v[i] * 127.5 + 128.0, 0.0, 255.0));
  return out;
}

}  // namespace tenon::qac
