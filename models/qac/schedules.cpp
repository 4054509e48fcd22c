#include "models/qac/schedules.h"

#include <algorithm>
#include <cmath>

#include "core/base/error.h"

namespace tenon::qac {

std::vector<double> sigma_grid(int64_t n, const GridConfig& c) {
  if (c.kind == "explicit") {
    check(c.levels.size() >= 2, ErrorKind::Usage, "an explicit grid needs two levels or more");
    for (size_t i = 0; i < c.levels.size(); ++i)
      check(c.levels[i] > 0 && (i == 0 || c.levels[i] < c.levels[i - 1]), ErrorKind::Usage,
            "an explicit grid must fall and stay positive; level {} is {}", i, c.levels[i]);
    return c.levels;
  }
  check(n >= 2, ErrorKind::Usage, "a grid of {} levels, want 2 or more", n);
  const double hi = c.sigma_max, lo = c.sigma_min;
  check(hi > lo && lo > 0, ErrorKind::Usage, "grid from {} to {}", hi, lo);
  std::vector<double> t(static_cast<size_t>(n));
  const auto last = static_cast<double>(n - 1);
  for (size_t i = 0; i < t.size(); ++i) {
    const double u = static_cast<double>(i) / last;
    if (c.kind == "polynomial") {
      const double a = std::pow(hi, 1 / c.rho), b = std::pow(lo, 1 / c.rho);
      t[i] = std::pow(a + u * (b - a), c.rho);
    } else if (c.kind == "logsnr") {
      t[i] = std::exp(std::log(hi) + u * (std::log(lo) - std::log(hi)));
    } else if (c.kind == "time_uniform") {
      constexpr double e = 1e-3;
      const double bd = 2 * (std::log(1 + lo * lo) / e - std::log(1 + hi * hi)) / (e - 1);
      const double bm = std::log(1 + hi * hi) - bd / 2;
      const double tau = std::pow(1 + u * (std::pow(e, 1 / c.rho) - 1), c.rho);
      t[i] = std::sqrt(std::expm1(bd * tau * tau / 2 + bm * tau));
    } else if (c.kind == "flow") {  // uniform in t = s / (1 + s)
      const double a = hi / (1 + hi), b = lo / (1 + lo), v = a + u * (b - a);
      t[i] = v / (1 - v);
    } else {
      throw_error(ErrorKind::Usage,
                  "grid '{}', want polynomial, logsnr, time_uniform, flow or explicit", c.kind);
    }
  }
  return t;
}

double ramped_lr(double lr, double nimg, double rampup) {
  return rampup > 0 ? lr * std::min(nimg / rampup, 1.0) : lr;
}

double ema_beta(double batch, double nimg, double halflife, double ratio) {
  const double h = ratio > 0 ? std::min(halflife, nimg * ratio) : halflife;
  return std::pow(0.5, batch / std::max(h, 1e-8));
}

}  // namespace tenon::qac
