// Noise-level grids and training schedules, as functions of numbers (spec sections 4 and 5.2).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tenon::qac {

struct GridConfig {
  std::string kind = "polynomial";  // polynomial, logsnr, time_uniform, flow, explicit
  double rho = 7;                   // polynomial and time_uniform
  double sigma_min = 0.002, sigma_max = 80;
  std::vector<double> levels;  // explicit: falling, positive
};
// n levels from sigma_max down to sigma_min.
std::vector<double> sigma_grid(int64_t n, const GridConfig& config);

// lr * min(nimg / rampup, 1) with nimg images seen before the step, rampup in images (0: none).
double ramped_lr(double lr, double nimg, double rampup);
// EMA decay: 0.5^(batch / h), h = min(halflife, ratio nimg) images; 0 at nimg = 0 when ratio > 0.
double ema_beta(double batch, double nimg, double halflife, double ratio);

}  // namespace tenon::qac
