#include "models/qac/model.h"

namespace tenon::qac {

ModelConfig Model::finished(ModelConfig c) {
  if (c.condition) {
    c.unet.label_dim = c.encoder.code_dim;
    c.encoder.img_resolution = c.unet.img_resolution;
    c.encoder.in_channels = c.unet.in_channels;
  }
  return c;
}

Model::Model(ModelConfig config)
    : config_(finished(std::move(config))), unet_(this, "model", config_.unet) {
  if (config_.condition)
    encoder_ = std::make_unique<ConditionEncoder>(this, "encoder", config_.encoder);
}

}  // namespace tenon::qac
