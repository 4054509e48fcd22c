// The quantised condition encoder of QAC (spec section 2.2): a small convolutional network whose
// few outputs are standardised over the batch and rounded to levels; the result is the condition
// vector.
#pragma once

#include "models/nn/layers.h"

namespace tenon::qac {

struct EncoderConfig {
  int64_t img_resolution = 32;
  int64_t in_channels = 3;
  int64_t width = 48;
  std::vector<int64_t> mults = {2, 4, 4};
  int64_t code_dim = 10;
  int64_t levels = 2;
  bool standardise = true;  // off: the logits are used as they are
};

class ConditionEncoder : public nn::Module {
 public:
  ConditionEncoder(Module* parent, std::string name, const EncoderConfig& config);

  // y [N, C, R, R] in [-1, 1] -> standardised logits h [N, code_dim]. In training mode by batch
  // statistics, which also move the running ones (momentum 0.01, unbiased variance); in evaluation
  // mode by the running ones.
  Tensor logits(const Tensor& y) const;
  // logits before standardisation; for re-estimating the statistics.
  Tensor raw_logits(const Tensor& y) const;
  // The condition: h rounded to levels in [-1, 1], gradient straight through the rounding.
  Tensor quantise(const Tensor& h) const;
  Tensor forward(const Tensor& y) const { return quantise(logits(y)); }

  // Replaces the running statistics.
  void set_statistics(const std::vector<double>& mean, const std::vector<double>& variance) const;
  const EncoderConfig& config() const { return config_; }

 private:
  EncoderConfig config_;
  nn::Conv2d conv_in_;
  nn::ModuleList<nn::GroupNorm> norms_;
  nn::ModuleList<nn::Conv2d> convs_;
  std::unique_ptr<nn::GroupNorm> norm_out_;
  std::unique_ptr<nn::Linear> fc_;
  nn::Parameter running_mean_, running_var_;
};

// Code index = sum_j k_j L^j of condition vectors q [N, d] with L levels.
std::vector<int64_t> code_index(const Tensor& q, int64_t levels);
// And back: indices to condition vectors f32 [N, d].
Tensor code_vectors(const std::vector<int64_t>& index, int64_t dim, int64_t levels);

// What a set of codes looks like.
struct CodeStatistics {
  int64_t used = 0;          // different codes
  double entropy_bits = 0;   // of their frequencies
  std::vector<double> mean;  // of every dimension; near +-1 means a dead one (two levels)
  std::vector<int64_t> values, counts;  // histogram, by rising code
};
CodeStatistics code_statistics(const std::vector<int64_t>& index, int64_t dim, int64_t levels);

}  // namespace tenon::qac
