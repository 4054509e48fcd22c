// SongUNet: the DDPM++ and NCSN++ networks of Song et al. (arXiv 2011.13456) in the form of Karras
// et al., "Elucidating the Design Space of Diffusion-Based Generative Models" (arXiv 2206.00364),
// with the parameter names of the published checkpoints.
#pragma once

#include <map>
#include <optional>

#include "models/nn/layers.h"

namespace tenon::qac {

struct SongUNetConfig {
  int64_t img_resolution = 32;
  int64_t in_channels = 3, out_channels = 3;
  int64_t label_dim = 0;    // width of the condition vector; 0 = none
  int64_t augment_dim = 9;  // 0 = none
  int64_t model_channels = 128;
  std::vector<int64_t> channel_mult = {2, 2, 2};
  int64_t channel_mult_emb = 4;
  int64_t num_blocks = 4;
  std::vector<int64_t> attn_resolutions = {16};
  double dropout = 0.13;
  bool recompute = false;  // blocks run again in backward instead of keeping their activations
  // DDPM++: positional, 1, standard, {1, 1}. NCSN++: fourier, 2, residual, {1, 3, 3, 1}.
  std::string embedding_type = "positional";
  int64_t channel_mult_noise = 1;
  std::string encoder_type = "standard";
  std::vector<double> resample_filter = {1, 1};
};

// A convolution with FIR resampling by 2 before it; with fused = true (NCSN++'s residual encoder)
// the convolution comes first, with two more pixels of padding, then the filter without padding.
// The published checkpoints keep the 2-D filter as buffer resample_filter.
enum class Resample { None, Up, Down };
class ResampleConv : public nn::Module {
 public:
  ResampleConv(Module* parent, std::string name, int64_t in, int64_t out, int64_t kernel,
               Resample resample, const std::vector<double>& taps, nn::Init init,
               bool fused = false);
  // x [N, in, H, W] -> [N, out, H * f, W * f], f = 2, 1 or 1/2.
  Tensor forward(const Tensor& x) const;

 private:
  nn::Parameter weight_, bias_;
  std::unique_ptr<nn::Parameter> filter_;
  int64_t kernel_;
  Resample resample_;
  std::vector<double> taps_;
  bool fused_;
};

struct UNetBlockConfig {
  int64_t in = 0, out = 0, emb = 0;
  Resample resample = Resample::None;
  bool attention = false;
  double dropout = 0;
  std::vector<double> taps = {1, 1};
};

// Residual block: out = (conv1(drop(silu(norm1(conv0(silu(norm0(x))) + affine(emb))))) + skip(x)) /
// sqrt 2, then one head of attention over all positions where asked.
class UNetBlock : public nn::Module {
 public:
  UNetBlock(Module* parent, std::string name, const UNetBlockConfig& config);
  // x [N, in, H, W], emb [N, emb]. `key` makes the dropout mask of this call.
  Tensor forward(const Tensor& x, const Tensor& emb, RngKey key) const {
    return forward(x, x, emb, key);
  }
  // With the input of the skip path apart.
  Tensor forward(const Tensor& x, const Tensor& skip, const Tensor& emb, RngKey key) const;
  int64_t out_channels() const { return config_.out; }

 private:
  Tensor attend(const Tensor& x) const;

  UNetBlockConfig config_;
  nn::GroupNorm norm0_;
  ResampleConv conv0_;
  nn::Linear affine_;
  nn::GroupNorm norm1_;
  ResampleConv conv1_;
  std::unique_ptr<ResampleConv> skip_;
  std::unique_ptr<nn::GroupNorm> norm2_;
  std::unique_ptr<ResampleConv> qkv_, proj_;
};

// [sin(u f_i), cos(u f_i)], f_i = 10000^(-i / (channels/2 - 1)); u [N] -> [N, channels].
Tensor positional_embedding(const Tensor& u, int64_t channels);

class SongUNet : public nn::Module {
 public:
  SongUNet(Module* parent, std::string name, const SongUNetConfig& config);
  // x [N, in_channels, R, R], noise [N] (c_noise), labels [N, label_dim] or undefined (= zero),
  // augment [N, augment_dim] or undefined (= zero) -> [N, out_channels, R, R], channels-last.
  Tensor forward(const Tensor& x, const Tensor& noise, const Tensor& labels, const Tensor& augment,
                 RngKey key) const;
  const SongUNetConfig& config() const { return config_; }

 private:
  struct EncoderStage {
    std::unique_ptr<ResampleConv> conv;      // the first convolution
    std::unique_ptr<UNetBlock> block;        // down or plain
    std::unique_ptr<ResampleConv> residual;  // aux_residual after this stage's down block
  };
  struct DecoderStage {
    std::unique_ptr<UNetBlock> block;
    bool takes_skip = false;
  };

  Tensor embed(const Tensor& noise, const Tensor& labels, const Tensor& augment) const;

  SongUNetConfig config_;
  std::unique_ptr<nn::Module> map_noise_;
  std::unique_ptr<nn::Parameter> freqs_;
  std::unique_ptr<nn::Linear> map_label_, map_augment_, map_layer0_, map_layer1_;
  std::unique_ptr<nn::Module> enc_, dec_;
  std::vector<EncoderStage> encoder_;
  std::vector<DecoderStage> decoder_;
  std::unique_ptr<nn::GroupNorm> aux_norm_;
  std::unique_ptr<ResampleConv> aux_conv_;
};

}  // namespace tenon::qac
