#include "trainers/qac/task.h"

#include <cmath>

#include "core/io/tensor_io.h"
#include "datasets/transforms.h"
#include "ops/ops.h"
#include "trainers/run/grid.h"

namespace tenon::qac {

TrainTask::TrainTask(const Config& config, data::SourcePtr source)
    : config_(config),
      source_(std::move(source)),
      model_(model_config(config)),
      key_(RngKey{static_cast<uint64_t>(config.common.train.seed)}.fold("qac training")) {
  nn::initialise(model_, static_cast<uint64_t>(config.common.train.seed));
}

std::pair<Tensor, Tensor> TrainTask::images(const loop::BatchPart& part) const {
  const data::SourceInfo& info = source_->info();
  const int64_t n = part.count;
  const auto per_image = static_cast<int64_t>(info.image_bytes());
  const Dims sizes = {n, info.channels, info.height, info.width};
  Tensor y = Tensor::empty(sizes);
  const auto bytes =
      std::span(part.batch.images)
          .subspan(static_cast<size_t>(part.begin * per_image), static_cast<size_t>(n * per_image));
  data::to_network_scale(bytes, {y.data<float>(), static_cast<size_t>(y.numel())});
  if (config_.data.augment <= 0) return {y, Tensor()};
  const data::AugmentConfig augment = augment_config(config_);
  const auto draws =
      data::draw_augment(static_cast<uint64_t>(config_.common.train.seed),
                         std::span(part.batch.positions)
                             .subspan(static_cast<size_t>(part.begin), static_cast<size_t>(n)));
  Tensor out = Tensor::empty(sizes), labels = Tensor::empty({n, augment.label_dim()});
  data::augment({y.data<float>(), static_cast<size_t>(y.numel())},
                {n, info.channels, info.height, info.width}, draws, augment,
                {out.data<float>(), static_cast<size_t>(out.numel())},
                {labels.data<float>(), static_cast<size_t>(labels.numel())});
  return {out, config_.model.augment_labels ? labels : Tensor()};
}

Tensor TrainTask::loss_sum(const loop::BatchPart& part) {
  const auto [y, augment_labels] = images(part);
  const int64_t n = part.count;
  // Noise is a function of the sample's position in the stream: any split of the batch sees the
  // same.
  const Tensor rows = Tensor::from(
      std::span<const int64_t>(part.batch.positions.data() + part.begin, static_cast<size_t>(n)),
      {n});
  const Tensor sigma = noise_levels(random_normal({n}, key_.fold("sigma"), DType::f32, {}, rows),
                                    {config_.method.noise_mean, config_.method.noise_std});
  const Tensor noise = random_normal(y.sizes(), key_.fold("noise"), DType::f32, {}, rows);
  const Tensor labels = model_.encoder() ? model_.encoder()->forward(y) : Tensor();
  const Tensor noisy = add(y, mul(noise, reshape(sigma, {n, 1, 1, 1})));
  const RngKey dropout = key_.fold("dropout")
                             .fold(static_cast<uint64_t>(part.batch.step))
                             .fold(static_cast<uint64_t>(part.begin));
  const Tensor denoised = model_.denoise(noisy, sigma, labels, augment_labels, dropout);
  return edm_loss_sum(denoised, y, sigma);
}

std::vector<std::pair<std::string, std::string>> TrainTask::progress() const {
  if (codes_.empty()) return {};
  const CodeStatistics s =
      code_statistics(codes_, config_.method.code_dim, config_.method.quant_levels);
  return {{"code", fmt::format("{:.1f}bit", s.entropy_bits)}};
}

void TrainTask::table_codes(int64_t count) {
  const ConditionEncoder& encoder = *model_.encoder();
  const data::SourceInfo& info = source_->info();
  constexpr int64_t kBatch = 256;
  std::vector<uint8_t> bytes(kBatch * info.image_bytes());
  const int64_t dim = config_.method.code_dim;
  // One pass for the logits; statistics and codes both come from them.
  std::vector<double> logits;
  logits.reserve(static_cast<size_t>(count * dim));
  for (int64_t begin = 0; begin < count; begin += kBatch) {
    const int64_t n = std::min(kBatch, count - begin);
    for (int64_t i = 0; i < n; ++i)
      source_->read_image(begin + i,
                          std::span(bytes).subspan(static_cast<size_t>(i) * info.image_bytes(),
                                                   info.image_bytes()));
    Tensor y = Tensor::empty({n, info.channels, info.height, info.width});
    data::to_network_scale(std::span(bytes).first(static_cast<size_t>(y.numel())),
                           {y.data<float>(), static_cast<size_t>(y.numel())});
    const auto part = encoder.raw_logits(y).to_vector<double>();
    logits.insert(logits.end(), part.begin(), part.end());
  }
  const auto d = static_cast<size_t>(dim);
  mean_.assign(d, 0);
  variance_.assign(d, 0);
  const auto rows = static_cast<double>(count);
  for (size_t i = 0; i < logits.size(); ++i) mean_[i % d] += logits[i] / rows;
  for (size_t i = 0; i < logits.size(); ++i) {
    const double c = logits[i] - mean_[i % d];
    variance_[i % d] += c * c / std::max(1.0, rows - 1);
  }
  std::vector<float> h(logits.size());
  for (size_t i = 0; i < h.size(); ++i)
    h[i] = static_cast<float>(config_.method.standardise
                                  ? (logits[i] - mean_[i % d]) / std::sqrt(variance_[i % d] + 1e-5)
                                  : logits[i]);
  codes_ = code_index(encoder.quantise(Tensor::from(h, {count, dim})), config_.method.quant_levels);
}

void TrainTask::evaluate(int64_t step, bool last, run::Session& session) {
  if (model_.encoder()) {
    table_codes(last ? source_->size() : std::min(source_->size(), config_.sample.code_images));
    const CodeStatistics s =
        code_statistics(codes_, config_.method.code_dim, config_.method.quant_levels);
    double dead = 0;
    for (const double m : s.mean) dead = std::max(dead, std::abs(m));
    run::Record record("eval", step);
    record.values = {{"name", std::string("code_entropy_bits")},
                     {"value", s.entropy_bits},
                     {"used", s.used},
                     {"largest_mean", dead},
                     {"weights", std::string("ema")}};
    session.record(record);
  }
  const SampleConfig config = sample_config(config_);
  std::vector<int64_t> seeds(static_cast<size_t>(config_.sample.count));
  for (size_t i = 0; i < seeds.size(); ++i) seeds[i] = static_cast<int64_t>(i);
  const auto pixels = sample(model_, codes_, seeds, config);
  const int size = static_cast<int>(config_.model.resolution);
  session.sample(
      step,
      run::make_grid(pixels, static_cast<int>(seeds.size()), size, size,
                     static_cast<int>(config_.model.channels)),
      {{"seeds", fmt::format("0-{}", seeds.size() - 1)},
       {"solver", describe(config.solver, config.grid, solver_levels(config.solver, config.nfe))},
       {"nfe", std::to_string(config.nfe)}});
}

std::vector<std::pair<std::string, Tensor>> TrainTask::extra_tensors() const {
  if (codes_.empty()) return {};
  std::vector<float> mean(mean_.begin(), mean_.end()), variance(variance_.begin(), variance_.end());
  const auto d = static_cast<int64_t>(mean.size());
  return {{"codes", Tensor::from(codes_, {static_cast<int64_t>(codes_.size())})},
          {"encoder.running_mean", Tensor::from(mean, {d})},
          {"encoder.running_var", Tensor::from(variance, {d})}};
}

void TrainTask::load_extra(const io::SafetensorsReader& file) {
  if (!file.contains("codes")) return;
  codes_ = io::read_tensor(file.at("codes")).to_vector<int64_t>();
  mean_ = io::read_tensor(file.at("encoder.running_mean")).to_vector<double>();
  variance_ = io::read_tensor(file.at("encoder.running_var")).to_vector<double>();
}

}  // namespace tenon::qac
