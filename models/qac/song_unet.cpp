#include "models/qac/song_unet.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "autograd/engine.h"
#include "ops/ops.h"

namespace tenon::qac {

namespace {

constexpr double kNormEps = 1e-6;
const double kSqrtHalf = std::sqrt(0.5);

int64_t groups_of(int64_t channels) {
  return std::min<int64_t>(32, channels / 4);
}
nn::Init small() {
  return nn::init::xavier_uniform(1e-5);
}  // a scale, not zero

bool contains(const std::vector<int64_t>& list, int64_t x) {
  return std::find(list.begin(), list.end(), x) != list.end();
}

nn::Init filter_values(std::vector<double> taps) {
  return [taps = std::move(taps)](const Tensor& t, RngKey) {
    double sum = 0;
    for (const double f : taps) sum += f;
    const size_t n = taps.size();
    for (size_t i = 0; i < n * n; ++i)
      t.data<float>()[i] = static_cast<float>(taps[i / n] * taps[i % n] / (sum * sum));
  };
}

}  // namespace

ResampleConv::ResampleConv(Module* parent, std::string name, int64_t in, int64_t out,
                           int64_t kernel, Resample resample, const std::vector<double>& taps,
                           nn::Init init, bool fused)
    : Module(parent, std::move(name)),
      weight_(this, "weight", {out, in, kernel, kernel}, std::move(init)),
      bias_(this, "bias", {out}, nn::init::zeros()),
      kernel_(kernel),
      resample_(resample),
      taps_(taps),
      fused_(fused) {
  const auto n = static_cast<int64_t>(taps.size());
  if (resample != Resample::None)
    filter_ = std::make_unique<nn::Parameter>(this, "resample_filter", Dims{1, 1, n, n},
                                              filter_values(taps), false);
}

Tensor ResampleConv::forward(const Tensor& x) const {
  const auto pad = static_cast<int64_t>((taps_.size() - 1) / 2);
  if (fused_) {
    const Tensor wide = conv2d(x, weight_, {}, conv_window(1, kernel_ / 2 + pad));
    return add(fir_resample(wide, taps_, 1, 2, 0),
               reshape(cast(bias_, wide.dtype()), {1, bias_.tensor().size(0), 1, 1}));
  }
  Tensor h = x;
  if (resample_ == Resample::Up) h = fir_resample(h, taps_, 2, 1, pad);
  if (resample_ == Resample::Down) h = fir_resample(h, taps_, 1, 2, pad);
  return conv2d(h, weight_, bias_, conv_window(1, kernel_ / 2));
}

UNetBlock::UNetBlock(Module* parent, std::string name, const UNetBlockConfig& c)
    : Module(parent, std::move(name)),
      config_(c),
      norm0_(this, "norm0", c.in, groups_of(c.in), kNormEps),
      conv0_(this, "conv0", c.in, c.out, 3, c.resample, c.taps, nn::init::xavier_uniform()),
      affine_(this, "affine", c.emb, c.out),
      norm1_(this, "norm1", c.out, groups_of(c.out), kNormEps),
      conv1_(this, "conv1", c.out, c.out, 3, Resample::None, c.taps, small()) {
  if (c.in != c.out || c.resample != Resample::None)
    skip_ = std::make_unique<ResampleConv>(this, "skip", c.in, c.out, 1, c.resample, c.taps,
                                           nn::init::xavier_uniform());
  if (c.attention) {
    norm2_ = std::make_unique<nn::GroupNorm>(this, "norm2", c.out, groups_of(c.out), kNormEps);
    qkv_ = std::make_unique<ResampleConv>(this, "qkv", c.out, 3 * c.out, 1, Resample::None, c.taps,
                                          nn::init::xavier_uniform(std::sqrt(0.2)));
    proj_ = std::make_unique<ResampleConv>(this, "proj", c.out, c.out, 1, Resample::None, c.taps,
                                           small());
  }
}

Tensor UNetBlock::forward(const Tensor& x, const Tensor& skip, const Tensor& emb,
                          RngKey key) const {
  Tensor h = conv0_.forward(norm0_.forward_silu(x));
  h = norm1_.forward_silu(h, affine_.forward(emb), training() ? config_.dropout : 0, key);
  h = add_rsqrt2(conv1_.forward(h), skip_ ? skip_->forward(skip) : skip);
  return config_.attention ? attend(h) : h;
}

Tensor UNetBlock::attend(const Tensor& x) const {
  const int64_t n = x.size(0), c = x.size(1), positions = x.size(2) * x.size(3);
  // Channel 3 ch + j holds q, k or v (j = 0, 1, 2) of channel ch.
  const Tensor all =
      reshape(permute(qkv_->forward(norm2_->forward(x)), {0, 2, 3, 1}), {n, 1, positions, c, 3});
  const Tensor a = attention(select(all, -1, 0), select(all, -1, 1), select(all, -1, 2));
  const Tensor image = permute(reshape(a, {n, x.size(2), x.size(3), c}), {0, 3, 1, 2});
  return add_rsqrt2(proj_->forward(image), x);
}

Tensor positional_embedding(const Tensor& u, int64_t channels) {
  const int64_t half = channels / 2;
  std::vector<float> f(static_cast<size_t>(half));
  for (int64_t i = 0; i < half; ++i)
    f[static_cast<size_t>(i)] = static_cast<float>(
        std::pow(1.0 / 10000.0, static_cast<double>(i) / static_cast<double>(half - 1)));
  const Tensor angle = mul(reshape(u, {u.size(0), 1}), Tensor::from(f, {1, half}, u.device()));
  return concat({sin(angle), cos(angle)}, 1);
}

SongUNet::SongUNet(Module* parent, std::string name, const SongUNetConfig& c)
    : Module(parent, std::move(name)), config_(c) {
  check(c.embedding_type == "positional" || c.embedding_type == "fourier", ErrorKind::Usage,
        "embedding_type '{}', want positional or fourier", c.embedding_type);
  check(c.encoder_type == "standard" || c.encoder_type == "residual", ErrorKind::Usage,
        "encoder_type '{}', want standard or residual", c.encoder_type);
  const auto levels = static_cast<int64_t>(c.channel_mult.size());
  check(levels > 0 && c.img_resolution % (int64_t{1} << (levels - 1)) == 0, ErrorKind::Usage,
        "resolution {} cannot be halved {} times", c.img_resolution, levels - 1);
  check(c.model_channels % 4 == 0, ErrorKind::Usage, "model_channels {} is not a multiple of 4",
        c.model_channels);
  const int64_t mc = c.model_channels, noise = mc * c.channel_mult_noise,
                emb = mc * c.channel_mult_emb;
  if (c.embedding_type == "fourier") {
    map_noise_ = std::make_unique<Module>(this, "map_noise");
    freqs_ = std::make_unique<nn::Parameter>(map_noise_.get(), "freqs", Dims{noise / 2},
                                             nn::init::normal(16), false);
  }
  if (c.label_dim) map_label_ = std::make_unique<nn::Linear>(this, "map_label", c.label_dim, noise);
  if (c.augment_dim)
    map_augment_ = std::make_unique<nn::Linear>(this, "map_augment", c.augment_dim, noise, false);
  map_layer0_ = std::make_unique<nn::Linear>(this, "map_layer0", noise, emb);
  map_layer1_ = std::make_unique<nn::Linear>(this, "map_layer1", emb, emb);

  UNetBlockConfig block;
  block.emb = emb;
  block.dropout = c.dropout;
  block.taps = c.resample_filter;
  const auto make = [&](Module& side, const std::string& block_name, int64_t in, int64_t out,
                        Resample resample, bool attention) {
    block.in = in;
    block.out = out;
    block.resample = resample;
    block.attention = attention;
    return std::make_unique<UNetBlock>(&side, block_name, block);
  };

  enc_ = std::make_unique<Module>(this, "enc");
  std::vector<int64_t> skips;
  int64_t width = c.in_channels, aux = c.in_channels;
  for (int64_t level = 0; level < levels; ++level) {
    const int64_t r = c.img_resolution >> level;
    const std::string prefix = fmt::format("{}x{}_", r, r);
    EncoderStage stage;
    if (level == 0) {
      stage.conv =
          std::make_unique<ResampleConv>(enc_.get(), prefix + "conv", width, mc, 3, Resample::None,
                                         c.resample_filter, nn::init::xavier_uniform());
      width = mc;
    } else {
      stage.block = make(*enc_, prefix + "down", width, width, Resample::Down, false);
      if (c.encoder_type == "residual") {
        stage.residual = std::make_unique<ResampleConv>(enc_.get(), prefix + "aux_residual", aux,
                                                        width, 3, Resample::Down, c.resample_filter,
                                                        nn::init::xavier_uniform(), true);
        aux = width;
      }
    }
    skips.push_back(width);
    encoder_.push_back(std::move(stage));
    const int64_t out = mc * c.channel_mult[static_cast<size_t>(level)];
    for (int64_t i = 0; i < c.num_blocks; ++i) {
      EncoderStage plain;
      plain.block = make(*enc_, prefix + fmt::format("block{}", i), width, out, Resample::None,
                         contains(c.attn_resolutions, r));
      width = out;
      skips.push_back(width);
      encoder_.push_back(std::move(plain));
    }
  }

  dec_ = std::make_unique<Module>(this, "dec");
  for (int64_t level = levels - 1; level >= 0; --level) {
    const int64_t r = c.img_resolution >> level;
    const std::string prefix = fmt::format("{}x{}_", r, r);
    if (level == levels - 1) {
      decoder_.push_back({make(*dec_, prefix + "in0", width, width, Resample::None, true), false});
      decoder_.push_back({make(*dec_, prefix + "in1", width, width, Resample::None, false), false});
    } else {
      decoder_.push_back({make(*dec_, prefix + "up", width, width, Resample::Up, false), false});
    }
    const int64_t out = mc * c.channel_mult[static_cast<size_t>(level)];
    for (int64_t i = 0; i <= c.num_blocks; ++i) {
      const bool attention = i == c.num_blocks && contains(c.attn_resolutions, r);
      decoder_.push_back({make(*dec_, prefix + fmt::format("block{}", i), width + skips.back(), out,
                               Resample::None, attention),
                          true});
      skips.pop_back();
      width = out;
    }
  }
  const std::string prefix = fmt::format("{}x{}_", c.img_resolution, c.img_resolution);
  aux_norm_ = std::make_unique<nn::GroupNorm>(dec_.get(), prefix + "aux_norm", width,
                                              groups_of(width), kNormEps);
  aux_conv_ = std::make_unique<ResampleConv>(dec_.get(), prefix + "aux_conv", width, c.out_channels,
                                             3, Resample::None, c.resample_filter, small());
}

Tensor SongUNet::embed(const Tensor& noise, const Tensor& labels, const Tensor& augment) const {
  Tensor e;
  if (freqs_) {
    const Tensor angle = affine(
        mul(reshape(noise, {noise.size(0), 1}), reshape(*freqs_, {1, freqs_->tensor().size(0)})),
        2 * 3.14159265358979323846, 0);
    e = concat({sin(angle), cos(angle)}, 1);
  } else {
    e = positional_embedding(noise, config_.model_channels * config_.channel_mult_noise);
  }
  // Under autocast the layers give another type than the sines.
  const auto join = [&e](const Tensor& part) { e = add(cast(e, part.dtype()), part); };
  if (map_label_) {
    Tensor c = labels;
    if (!c.defined())
      c = Tensor::zeros({noise.size(0), config_.label_dim}, noise.dtype(), noise.device());
    check(c.rank() == 2 && c.size(1) == config_.label_dim, ErrorKind::Usage,
          "labels {} for a network of label_dim {}", c.describe(), config_.label_dim);
    join(map_label_->forward(affine(c, std::sqrt(static_cast<double>(config_.label_dim)), 0)));
  }
  if (map_augment_ && augment.defined()) join(map_augment_->forward(augment));
  return silu(map_layer1_->forward(silu(map_layer0_->forward(e))));
}

Tensor SongUNet::forward(const Tensor& input, const Tensor& noise, const Tensor& labels,
                         const Tensor& augment, RngKey key) const {
  check(input.rank() == 4 && input.size(1) == config_.in_channels &&
            input.size(2) == config_.img_resolution && input.size(3) == config_.img_resolution,
        ErrorKind::Usage, "images {} for a network of [N, {}, {}, {}]", input.describe(),
        config_.in_channels, config_.img_resolution, config_.img_resolution);
  const Tensor emb = embed(noise, labels, augment);
  Tensor x = channels_last(input), aux = x;
  std::vector<Tensor> skips;
  uint64_t count = 0;
  const auto run = [&](const UNetBlock& block, const Tensor& in) {
    const RngKey mine = key.fold(count++);
    if (!config_.recompute) return block.forward(in, emb, mine);
    // The block uses its input twice; given apart, the gradients are added in the order in which
    // they are without recomputation, so that the results are the same bits.
    return checkpoint(
        [&block, mine](std::span<const Tensor> i) -> TensorVec {
          return {block.forward(i[1], i[0], i[2], mine)};
        },
        std::array{in, in, emb})[0];
  };
  for (const EncoderStage& stage : encoder_) {
    x = stage.conv ? stage.conv->forward(x) : run(*stage.block, x);
    if (stage.residual) x = aux = add_rsqrt2(x, stage.residual->forward(aux));
    skips.push_back(x);
  }
  for (const DecoderStage& stage : decoder_) {
    if (stage.takes_skip) {
      x = concat({x, skips.back()}, 1);
      skips.pop_back();
    }
    x = run(*stage.block, x);
  }
  return aux_conv_->forward(aux_norm_->forward_silu(x));
}

}  // namespace tenon::qac
