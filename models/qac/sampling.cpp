#include "models/qac/sampling.h"

#include <algorithm>

#include "ops/ops.h"

namespace tenon::qac {

namespace {
const RngKey kSampling = RngKey{0}.fold("qac sampling");
}

Tensor seed_latents(const std::vector<int64_t>& seeds, int64_t channels, int64_t resolution) {
  const auto n = static_cast<int64_t>(seeds.size());
  return random_normal({n, channels, resolution, resolution}, kSampling.fold("latents"), DType::f32,
                       {}, Tensor::from(seeds, {n}));
}

std::vector<int64_t> seed_codes(const std::vector<int64_t>& seeds,
                                const std::vector<int64_t>& table, const SampleConfig& config) {
  std::vector<int64_t> out(seeds.size(), config.fixed_code);
  if (config.codes == CodeChoice::Fixed) return out;
  std::vector<int64_t> from = table;
  if (config.codes == CodeChoice::UniformUsed) {
    std::sort(from.begin(), from.end());
    from.erase(std::unique(from.begin(), from.end()), from.end());
  }
  check(!from.empty(), ErrorKind::Checkpoint,
        "the checkpoint has no code table; let the training reach an evaluation, or give a code");
  for (size_t i = 0; i < seeds.size(); ++i) {
    const Philox4 r = kSampling.fold("code").block(0, static_cast<uint64_t>(seeds[i]));
    const uint64_t bits = r.v[0] | static_cast<uint64_t>(r.v[1]) << 32;
    out[i] = from[bits % from.size()];
  }
  return out;
}

std::vector<uint8_t> sample(const Model& model, const std::vector<int64_t>& table,
                            const std::vector<int64_t>& seeds, const SampleConfig& config,
                            const StepCallback& on_step) {
  const NoGrad off;
  const SongUNetConfig& net = model.unet().config();
  const int64_t n_levels = config.grid.kind == "explicit"
                               ? static_cast<int64_t>(config.grid.levels.size())
                               : solver_levels(config.solver, config.nfe);
  const std::vector<double> levels = sigma_grid(n_levels, config.grid);
  std::vector<uint8_t> pixels;
  for (size_t begin = 0; begin < seeds.size(); begin += static_cast<size_t>(config.batch)) {
    const size_t end = std::min(seeds.size(), begin + static_cast<size_t>(config.batch));
    const std::vector<int64_t> part(seeds.begin() + static_cast<int64_t>(begin),
                                    seeds.begin() + static_cast<int64_t>(end));
    const auto n = static_cast<int64_t>(part.size());
    Tensor labels;
    if (model.encoder())
      labels = code_vectors(seed_codes(part, table, config), model.encoder()->config().code_dim,
                            model.encoder()->config().levels);
    const Denoiser denoiser = [&](const Tensor& x, double sigma) {
      return cast(model.denoise(cast(x, DType::f32), Tensor::full({n}, sigma), labels, {}),
                  DType::f64);
    };
    const StepNoise noise = [&](int64_t step, const Dims& sizes) {
      return random_normal(sizes, kSampling.fold("churn").fold(static_cast<uint64_t>(step)),
                           DType::f64, {}, Tensor::from(part, {n}));
    };
    const Tensor start = affine(
        cast(seed_latents(part, net.in_channels, net.img_resolution), DType::f64), levels[0], 0);
    const auto bytes = to_pixels(solve(config.solver, denoiser, start, levels, noise, on_step));
    pixels.insert(pixels.end(), bytes.begin(), bytes.end());
  }
  return pixels;
}

}  // namespace tenon::qac
