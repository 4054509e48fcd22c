#include "models/qac/encoder.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "ops/ops.h"

namespace tenon::qac {

namespace {
constexpr double kNormEps = 1e-6, kBatchEps = 1e-5, kMomentum = 0.01;

int64_t groups_of(int64_t channels) {
  return std::max<int64_t>(1, std::min<int64_t>(32, channels / 4));
}
}  // namespace

ConditionEncoder::ConditionEncoder(Module* parent, std::string name, const EncoderConfig& c)
    : Module(parent, std::move(name)),
      config_(c),
      conv_in_(this, "conv_in", c.in_channels, c.width, 3, conv_window(1, 1)),
      norms_(this, "norms"),
      convs_(this, "convs"),
      running_mean_(this, "running_mean", {c.code_dim}, nn::init::zeros(), false),
      running_var_(this, "running_var", {c.code_dim}, nn::init::ones(), false) {
  check(c.levels >= 2, ErrorKind::Usage, "encoder: {} levels, want 2 or more", c.levels);
  check(std::pow(static_cast<double>(c.levels), static_cast<double>(c.code_dim)) < 9e18,
        ErrorKind::Usage, "encoder: {} levels in {} dimensions do not fit a 64-bit code", c.levels,
        c.code_dim);
  int64_t width = c.width, resolution = c.img_resolution;
  for (const int64_t m : c.mults) {
    norms_.add(width, groups_of(width), kNormEps);
    convs_.add(width, c.width * m, 3, conv_window(2, 1));
    width = c.width * m;
    resolution = (resolution + 1) / 2;
  }
  norm_out_ = std::make_unique<nn::GroupNorm>(this, "norm_out", width, groups_of(width), kNormEps);
  fc_ =
      std::make_unique<nn::Linear>(this, "fc", width * resolution * resolution, c.code_dim, false);
}

Tensor ConditionEncoder::raw_logits(const Tensor& y) const {
  Tensor h = conv_in_.forward(channels_last(y));
  for (size_t i = 0; i < convs_.size(); ++i) h = convs_[i].forward(norms_[i].forward_silu(h));
  h = norm_out_->forward_silu(h);
  return cast(fc_->forward(flatten(contiguous(h), 1)), DType::f32);
}

Tensor ConditionEncoder::logits(const Tensor& y) const {
  const Tensor raw = raw_logits(y);
  if (!config_.standardise) return raw;
  if (!training()) return mul(sub(raw, running_mean_), rsqrt(affine(running_var_, 1, kBatchEps)));
  const int64_t n = raw.size(0);
  const Tensor mu = mean(raw, {0}, true);
  const Tensor centred = sub(raw, mu);
  const Tensor variance = mean(square(centred), {0}, true);
  {
    const NoGrad off;
    const Tensor m = reshape(mu.detach(), {config_.code_dim});
    const Tensor v = reshape(variance.detach(), {config_.code_dim});
    const double unbiased = n > 1 ? static_cast<double>(n) / static_cast<double>(n - 1) : 1.0;
    running_mean_.tensor().copy_from(
        add(affine(running_mean_, 1 - kMomentum, 0), affine(m, kMomentum, 0)));
    running_var_.tensor().copy_from(
        add(affine(running_var_, 1 - kMomentum, 0), affine(v, kMomentum * unbiased, 0)));
  }
  return mul(centred, rsqrt(affine(variance, 1, kBatchEps)));
}

Tensor ConditionEncoder::quantise(const Tensor& h) const {
  return quantize_tanh(h, static_cast<double>(config_.levels));
}

void ConditionEncoder::set_statistics(const std::vector<double>& mean,
                                      const std::vector<double>& variance) const {
  const auto d = static_cast<size_t>(config_.code_dim);
  TENON_ASSERT(mean.size() == d && variance.size() == d);
  for (size_t i = 0; i < d; ++i) {
    running_mean_.tensor().data<float>()[i] = static_cast<float>(mean[i]);
    running_var_.tensor().data<float>()[i] = static_cast<float>(variance[i]);
  }
}

std::vector<int64_t> code_index(const Tensor& q, int64_t levels) {
  check(q.rank() == 2, ErrorKind::Usage, "code_index: {}, want [N, d]", q.describe());
  const std::vector<double> v = q.to_vector<double>();
  const auto d = static_cast<size_t>(q.size(1));
  std::vector<int64_t> out(static_cast<size_t>(q.size(0)));
  for (size_t i = 0; i < out.size(); ++i)
    for (size_t j = d; j-- > 0;)
      out[i] =
          out[i] * levels + std::llround((v[i * d + j] + 1) / 2 * static_cast<double>(levels - 1));
  return out;
}

Tensor code_vectors(const std::vector<int64_t>& index, int64_t dim, int64_t levels) {
  std::vector<float> out;
  out.reserve(index.size() * static_cast<size_t>(dim));
  for (int64_t code : index) {
    check(code >= 0, ErrorKind::Data, "code {} is negative", code);
    for (int64_t j = 0; j < dim; ++j) {
      out.push_back(static_cast<float>(
          2.0 * static_cast<double>(code % levels) / static_cast<double>(levels - 1) - 1.0));
      code /= levels;
    }
    check(code == 0, ErrorKind::Data, "a code is too large for {} dimensions of {} levels", dim,
          levels);
  }
  return Tensor::from(out, {static_cast<int64_t>(index.size()), dim});
}

CodeStatistics code_statistics(const std::vector<int64_t>& index, int64_t dim, int64_t levels) {
  CodeStatistics s;
  std::map<int64_t, int64_t> histogram;
  for (const int64_t code : index) ++histogram[code];
  s.used = static_cast<int64_t>(histogram.size());
  s.mean.assign(static_cast<size_t>(dim), 0);
  const double n = std::max<double>(1, static_cast<double>(index.size()));
  for (const auto& [code, count] : histogram) {
    s.values.push_back(code);
    s.counts.push_back(count);
    const double p = static_cast<double>(count) / n;
    s.entropy_bits -= p * std::log2(p);
    const std::vector<float> q = code_vectors({code}, dim, levels).to_vector<float>();
    for (size_t j = 0; j < q.size(); ++j) s.mean[j] += p * q[j];
  }
  return s;
}

}  // namespace tenon::qac
