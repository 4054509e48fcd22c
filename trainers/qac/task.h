// Training QAC: spec section 3 as a task of the loop.
#pragma once

#include "trainers/loop/task.h"
#include "trainers/qac/config.h"

namespace tenon::qac {

class TrainTask final : public loop::Task {
 public:
  TrainTask(const Config& config, data::SourcePtr source);

  nn::Module& model() override { return model_; }
  const Model& qac_model() const { return model_; }
  Tensor loss_sum(const loop::BatchPart& part) override;
  std::vector<std::pair<std::string, std::string>> progress() const override;
  // Re-estimates the encoder's statistics, tables the codes and draws the sample grid.
  void evaluate(int64_t step, bool last, run::Session& session) override;
  std::vector<std::pair<std::string, Tensor>> extra_tensors() const override;
  void load_extra(const io::SafetensorsReader& file) override;

 private:
  // Images of a part in [-1, 1], augmented, and the augmentation's labels (undefined when off).
  std::pair<Tensor, Tensor> images(const loop::BatchPart& part) const;
  void table_codes(int64_t count);

  const Config& config_;
  data::SourcePtr source_;
  Model model_;
  RngKey key_;
  std::vector<int64_t> codes_;           // of training images, by the last evaluation
  std::vector<double> mean_, variance_;  // of the encoder's logits, likewise
};

}  // namespace tenon::qac
