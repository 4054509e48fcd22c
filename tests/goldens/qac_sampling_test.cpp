// Reference cases of schedules and solvers.
#include <cmath>

#include "models/qac/sampling.h"
#include "ops/ops.h"
#include "tests/goldens/cases.h"

using namespace tenon;
using golden::Case;

namespace {

// The exact denoiser of a Gaussian mixture (README of the cases): means mu, variances var, weights
// pi.
class Mixture {
 public:
  explicit Mixture(const Case& c)
      : mu_(c.at("input.mu").to_vector<double>()),
        var_(c.at("input.var").to_vector<double>()),
        pi_(c.at("input.pi").to_vector<double>()) {}

  Tensor operator()(const Tensor& x, double s) const {
    const std::vector<double> v = x.to_vector<double>();
    const size_t k_count = var_.size(), dim = mu_.size() / k_count;
    std::vector<double> out(v.size());
    for (size_t n = 0; n < v.size() / dim; ++n) {
      std::vector<double> logit(k_count);
      double top = -1e300;
      for (size_t k = 0; k < k_count; ++k) {
        double distance = 0;
        for (size_t i = 0; i < dim; ++i) {
          const double d = v[n * dim + i] - mu_[k * dim + i];
          distance += d * d;
        }
        const double total = s * s + var_[k];
        logit[k] = std::log(pi_[k]) - distance / (2 * total) -
                   static_cast<double>(dim) / 2 * std::log(total);
        top = std::max(top, logit[k]);
      }
      double sum = 0;
      for (double& l : logit) sum += l = std::exp(l - top);
      for (size_t k = 0; k < k_count; ++k) {
        const double total = s * s + var_[k];
        for (size_t i = 0; i < dim; ++i)
          out[n * dim + i] +=
              logit[k] / sum * (s * s * mu_[k * dim + i] + var_[k] * v[n * dim + i]) / total;
      }
    }
    return Tensor::from(out, x.sizes());
  }

 private:
  std::vector<double> mu_, var_, pi_;
};

std::vector<double> levels_of(const Case& c, const std::string& key) {
  return c.at(key).to_vector<double>();
}

// Rows below sigma 1: 1e-4 absolute; above: 1e-5 relative to the row.
void check_rows(const Case& c, const std::string& key, const std::vector<Tensor>& rows,
                std::vector<double> levels) {
  const Tensor want = c.at(key);
  INFO(c.name() << " " << key);
  REQUIRE(want.size(0) == static_cast<int64_t>(rows.size()));
  levels.resize(rows.size(), 0.0);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<int64_t>(i);
    const Difference d = difference(rows[i], cast(select(want, 0, row), DType::f64));
    INFO("row " << i << ": error " << d.max_abs << " of " << d.max_ref);
    CHECK(d.max_abs <= (levels[i] < 1 ? 1e-4 : 1e-5 * d.max_ref));
  }
}

std::vector<Tensor> run(const qac::SolverConfig& solver, const Mixture& mixture, const Case& c,
                        const std::vector<double>& levels, const qac::StepNoise& noise = {}) {
  std::vector<Tensor> rows;
  const Tensor start = affine(cast(c.at("input.latents"), DType::f64), levels[0], 0);
  qac::solve(solver, mixture, start, levels, noise, [&](int64_t, const Tensor& x) {
    rows.push_back(x);
    return true;
  });
  return rows;
}

}  // namespace

TEST_CASE("goldens qac schedules", "[goldens]") {
  golden::for_cases("qac", "schedules", [](const Case& c) {
    const nlohmann::json& j = c.config();
    int checked = 0;
    for (const std::string& key : c.keys("output.")) {
      const std::string name = key.substr(7);
      if (name == "lr" || name == "ema_beta") continue;
      // kind[_rhoR]_N
      qac::GridConfig grid;
      grid.sigma_min = j.at("sigma_min").get<double>();
      grid.sigma_max = j.at("sigma_max").get<double>();
      const size_t rho = name.find("_rho"), last = name.rfind('_');
      grid.kind = name.substr(0, std::min(rho, last));
      if (rho != std::string::npos) grid.rho = std::stod(name.substr(rho + 4, last - rho - 4));
      const std::vector<double> t = qac::sigma_grid(std::stoll(name.substr(last + 1)), grid);
      INFO(key);
      const auto want = c.at(key).to_vector<double>();
      REQUIRE(t.size() == want.size());
      for (size_t i = 0; i < t.size(); ++i) CHECK(std::abs(t[i] - want[i]) <= 1e-5 * want[i]);
      ++checked;
    }
    CHECK(checked > 0);
    const auto nimg = c.at("input.nimg").to_vector<double>();
    const auto lr = c.at("output.lr").to_vector<double>();
    const auto beta = c.at("output.ema_beta").to_vector<double>();
    for (size_t i = 0; i < nimg.size(); ++i) {
      CHECK(std::abs(qac::ramped_lr(j.at("lr").get<double>(), nimg[i],
                                    j.at("lr_rampup_kimg").get<double>() * 1000) -
                     lr[i]) <= 1e-5 * j.at("lr").get<double>());
      CHECK(std::abs(qac::ema_beta(j.at("batch").get<double>(), nimg[i],
                                   j.at("ema_halflife_kimg").get<double>() * 1000,
                                   j.at("ema_rampup_ratio").get<double>()) -
                     beta[i]) <= 1e-5);
    }
  });
}

TEST_CASE("goldens qac samplers", "[goldens]") {
  golden::for_cases("qac", "samplers", [](const Case& c) {
    const Mixture mixture(c);
    const auto polynomial = levels_of(c, "input.sigmas_polynomial");
    const auto logsnr = levels_of(c, "input.sigmas_logsnr");
    const Tensor at_half = cast(c.at("input.latents"), DType::f64);
    if (c.has("output.denoised_at_s0.5"))
      CHECK(c.at("output.denoised_at_s0.5").numel() == at_half.numel());
    int checked = 0;
    const auto check_one = [&](const std::string& key, const qac::SolverConfig& solver,
                               const std::vector<double>& levels,
                               const qac::StepNoise& noise = {}) {
      if (!c.has(key)) return;
      check_rows(c, key, run(solver, mixture, c, levels, noise), levels);
      ++checked;
    };
    check_one("output.euler", {.name = "ddim"}, polynomial);
    check_one("output.heun", {.name = "heun"}, polynomial);
    check_one("output.dpm2", {.name = "dpm2"}, polynomial);
    check_one("output.euler_afs", {.name = "ddim", .afs = true}, polynomial);
    for (int64_t k = 1; k <= 4; ++k)
      check_one("output.ipndm_" + std::to_string(k), {.name = "ipndm", .order = k}, polynomial);
    for (int64_t k = 1; k <= 3; ++k)
      for (const bool threshold : {true, false}) {
        const std::string tail = threshold ? "" : "_nothr";
        check_one("output.dpmpp_" + std::to_string(k) + tail,
                  {.name = "dpmpp", .order = k, .thresholding = threshold}, logsnr);
        for (const std::string bh : {"bh1", "bh2"})
          check_one("output.unipc_" + std::to_string(k) + "_" + bh + tail,
                    {.name = "unipc", .order = k, .thresholding = threshold, .unipc_variant = bh},
                    logsnr);
      }
    const auto n = c.config().at("edm_levels").get<int64_t>();
    const auto edm = qac::sigma_grid(n, {});
    check_one("output.edm_heun", {.name = "edm"}, edm);
    if (c.has("output.edm_churn")) {
      const nlohmann::json& j = c.config().at("churn");
      qac::SolverConfig solver{.name = "edm"};
      solver.churn = {j.at("S_churn").get<double>(), j.at("S_min").get<double>(),
                      j.at("S_max").get<double>(), j.at("S_noise").get<double>()};
      const Tensor noise = c.at("input.churn_noise");
      check_one("output.edm_churn", solver, edm, [&](int64_t i, const Dims&) {
        return cast(contiguous(select(noise, 0, i)), DType::f64);
      });
    }
    CHECK(checked > 0);
    if (c.has("output.threshold"))
      c.close(qac::dynamic_threshold(cast(c.at("input.threshold_x"), DType::f64)),
              "output.threshold", 1e-5);
    std::printf("goldens %s: %d solvers\n", c.name().c_str(), checked);
  });
}
