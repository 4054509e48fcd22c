// The QAC model: denoiser and condition encoder, with the names of its checkpoints (model.*,
// encoder.*). Without an encoder it is EDM's unconditional network.
#pragma once

#include "models/qac/encoder.h"
#include "models/qac/precond.h"

namespace tenon::qac {

struct ModelConfig {
  SongUNetConfig unet;
  EncoderConfig encoder;
  bool condition = true;  // false: no encoder, label_dim stays what unet says
};

class Model : public nn::Module {
 public:
  explicit Model(ModelConfig config);

  // As qac::denoise.
  Tensor denoise(const Tensor& x, const Tensor& sigma, const Tensor& labels, const Tensor& augment,
                 RngKey key = {}) const {
    return qac::denoise(unet_, x, sigma, labels, augment, key);
  }
  const SongUNet& unet() const { return unet_; }
  const ConditionEncoder* encoder() const { return encoder_.get(); }
  const ModelConfig& config() const { return config_; }

 private:
  static ModelConfig finished(ModelConfig c);

  ModelConfig config_;
  SongUNet unet_;
  std::unique_ptr<ConditionEncoder> encoder_;
};

}  // namespace tenon::qac
