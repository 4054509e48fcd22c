// ODE solvers of the EDM formulation (spec section 5.3). All work on a denoiser D(x, sigma), so a
// network, an exact mixture or a test function can stand behind them.
//
// The state is kept in double, as in EDM's sampler; the denoiser sees and returns what it likes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "core/base/rng.h"
#include "core/tensor/tensor.h"
#include "models/qac/schedules.h"

namespace tenon::qac {

// D(x, sigma): x f64 [N, C, H, W], one noise level for all images -> f64 of the same shape.
using Denoiser = std::function<Tensor(const Tensor& x, double sigma)>;
// Standard normal noise for step i, of x's shape (only churn asks for it).
using StepNoise = std::function<Tensor(int64_t step, const Dims& sizes)>;

struct Churn {  // EDM's stochastic sampler, arXiv 2206.00364, algorithm 2
  double churn = 0, min = 0, max = 1e300, noise = 1;
};

struct SolverConfig {
  std::string name = "ipndm";  // ddim, heun, dpm2, ipndm, dpmpp, unipc, edm
  int64_t order = 4;           // ipndm 1..4, dpmpp 1..3, unipc 1..3
  bool thresholding = false;   // dynamic thresholding of dpmpp and unipc
  std::string unipc_variant = "bh2";
  bool afs = false;  // ddim: the first direction is x / sqrt(1 + t^2), without a network call
  Churn churn = {};  // edm
};

// Called with the step (0 = the start) and the state; returning false stops the sampling (then
// solve() throws Stopped).
using StepCallback = std::function<bool(int64_t step, const Tensor& x)>;

// Integrates from x (already scaled: latents * levels[0]) over the levels; `edm` appends level 0.
Tensor solve(const SolverConfig& config, const Denoiser& denoise, const Tensor& x,
             const std::vector<double>& levels, const StepNoise& noise = {},
             const StepCallback& on_step = {});

// The number of denoiser calls that solve() will make for n levels.
int64_t solver_nfe(const SolverConfig& config, int64_t n);
// The number of levels that gives `nfe` denoiser calls, or Usage where none does (Heun and DPM-2
// take two calls a step, edm an odd number).
int64_t solver_levels(const SolverConfig& config, int64_t nfe);
// "iPNDM-4, 6 steps, NFE 6": printed with every result.
std::string describe(const SolverConfig& config, const GridConfig& grid, int64_t n);

// Per image v = max(1, 0.995-quantile of |x|), x clamped to [-v, v] and divided by v.
Tensor dynamic_threshold(const Tensor& x);

// trunc(clip(127.5 x + 128, 0, 255)) of f64 or f32 [N, C, H, W] as u8 [N, H, W, C].
std::vector<uint8_t> to_pixels(const Tensor& x);

}  // namespace tenon::qac
