// Images from a QAC model: one seed an image, so any split of a range of seeds gives the same
// pixels.
#pragma once

#include "models/qac/model.h"
#include "models/qac/solvers.h"

namespace tenon::qac {

enum class CodeChoice {
  Empirical,    // the code of a training image drawn uniformly: the exact distribution of codes
  UniformUsed,  // uniform over the codes that occur
  Fixed,        // one given code
};

struct SampleConfig {
  SolverConfig solver;
  GridConfig grid;
  int64_t nfe = 6;
  CodeChoice codes = CodeChoice::Empirical;
  int64_t fixed_code = 0;
  int64_t batch = 64;  // images at a time; does not change them
};

// u8 [n][H][W][C] for the seeds. `table`: code index of each training image (empty for a model
// without encoder). `on_step` is asked between steps and may stop by returning false.
std::vector<uint8_t> sample(const Model& model, const std::vector<int64_t>& table,
                            const std::vector<int64_t>& seeds, const SampleConfig& config,
                            const StepCallback& on_step = {});

// Standard normal start of each seed, f32 [n, C, R, R].
Tensor seed_latents(const std::vector<int64_t>& seeds, int64_t channels, int64_t resolution);
// The code of each seed.
std::vector<int64_t> seed_codes(const std::vector<int64_t>& seeds,
                                const std::vector<int64_t>& table, const SampleConfig& config);

}  // namespace tenon::qac
