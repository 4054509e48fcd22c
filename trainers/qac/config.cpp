#include "trainers/qac/config.h"

#include "core/base/version.h"

namespace tenon::qac {

void describe(config::Table& t, Config& c) {
  run::describe(t, c.common);

  t.group("method: quantised adaptive conditions");
  t.add(c.method.condition,
        {.key = "method.condition",
         .flag = "condition",
         .help = "condition on a learned code; --no-condition trains EDM's plain network",
         .common = true});
  t.add(c.method.code_dim, {.key = "method.code_dim",
                            .flag = "code-dim",
                            .meta = "N",
                            .help = "dimensions of the code",
                            .min = 1,
                            .max = 62,
                            .common = true});
  t.add(c.method.quant_levels, {.key = "method.quant_levels",
                                .flag = "quant-levels",
                                .meta = "N",
                                .help = "levels a dimension",
                                .min = 2,
                                .max = 1024});
  t.add(c.method.encoder_width, {.key = "method.encoder_width",
                                 .flag = "encoder-width",
                                 .meta = "N",
                                 .help = "channels of the encoder's first layer",
                                 .min = 4});
  t.add(c.method.encoder_mults,
        {.key = "method.encoder_mults",
         .flag = "encoder-mults",
         .meta = "N,N,...",
         .help = "widths of the encoder's stages, each at half the resolution",
         .min = 1});
  t.add(c.method.standardise, {.key = "method.standardise",
                               .flag = "standardise",
                               .help = "standardise the code's logits over the batch"});
  t.add(c.method.noise_mean, {.key = "method.noise_mean", .help = "mean of ln sigma in training"});
  t.add(
      c.method.noise_std,
      {.key = "method.noise_std", .help = "standard deviation of ln sigma in training", .min = 0});

  t.group("network");
  t.add(c.model.arch, {.key = "model.arch",
                       .flag = "arch",
                       .meta = "NAME",
                       .help = "network",
                       .choices = {"ddpmpp", "ncsnpp"},
                       .common = true});
  t.add(c.model.resolution, {.key = "model.resolution",
                             .flag = "resolution",
                             .meta = "PIXELS",
                             .help = "width and height of the images",
                             .min = 4,
                             .max = 4096});
  t.add(c.model.channels, {.key = "model.channels",
                           .flag = "channels",
                           .meta = "N",
                           .help = "1 for grey, 3 for RGB",
                           .min = 1,
                           .max = 3});
  t.add(c.model.model_channels, {.key = "model.model_channels",
                                 .flag = "model-channels",
                                 .meta = "N",
                                 .help = "channels at full resolution, times channel-mult",
                                 .min = 4});
  t.add(c.model.channel_mult, {.key = "model.channel_mult",
                               .flag = "channel-mult",
                               .meta = "N,N,...",
                               .help = "channel factor of each level, halving the resolution",
                               .min = 1});
  t.add(c.model.num_blocks, {.key = "model.num_blocks",
                             .flag = "num-blocks",
                             .meta = "N",
                             .help = "residual blocks a level",
                             .min = 1});
  t.add(c.model.attn_resolutions, {.key = "model.attn_resolutions",
                                   .flag = "attn-resolutions",
                                   .meta = "N,N,...",
                                   .help = "resolutions with attention",
                                   .min = 1});
  t.add(c.model.dropout, {.key = "model.dropout",
                          .flag = "dropout",
                          .meta = "P",
                          .help = "probability of zeroing an activation",
                          .min = 0,
                          .max = 0.99});
  t.add(c.model.augment_labels,
        {.key = "model.augment_labels",
         .help = "give the network the augmentation's labels, even when it is off"});

  t.group("images");
  t.add(c.data.augment, {.key = "data.augment",
                         .flag = "augment",
                         .meta = "P",
                         .help = "probability of each geometric augmentation",
                         .min = 0,
                         .max = 1});
  t.add(c.data.xflip,
        {.key = "data.xflip", .flag = "xflip", .help = "mirror the data set to twice its size"});
  t.add(c.data.max_size, {.key = "data.max_size",
                          .flag = "max-size",
                          .meta = "N",
                          .help = "use a random subset of this size; 0 for all",
                          .min = 0});
  t.add(c.data.pad, {.key = "data.pad",
                     .flag = "pad",
                     .help = "bring smaller images to the resolution by a border, not by scaling"});

  t.group("optimizer");
  t.add(c.optim.lr, {.key = "optim.lr",
                     .flag = "lr",
                     .meta = "RATE",
                     .help = "learning rate of Adam",
                     .min = 0,
                     .common = true});
  t.add(c.optim.beta1, {.key = "optim.beta1", .help = "Adam's first decay", .min = 0, .max = 1});
  t.add(c.optim.beta2, {.key = "optim.beta2", .help = "Adam's second decay", .min = 0, .max = 1});
  t.add(c.optim.eps, {.key = "optim.eps", .help = "Adam's epsilon", .min = 0});
  t.add(c.optim.lr_rampup_kimg, {.key = "optim.lr_rampup_kimg",
                                 .flag = "lr-rampup",
                                 .meta = "KIMG",
                                 .help = "thousands of images until the learning rate is full",
                                 .min = 0});
  t.add(c.optim.ema_mimg, {.key = "optim.ema_mimg",
                           .flag = "ema-mimg",
                           .meta = "MIMG",
                           .help = "half-life of the weights' average, in millions of images",
                           .min = 0,
                           .min_open = true});
  t.add(c.optim.ema_rampup, {.key = "optim.ema_rampup",
                             .help = "limits the half-life to this share of the images seen; 0: no",
                             .min = 0});

  t.group("samples");
  t.add(c.sample.nfe, {.key = "sample.nfe",
                       .flag = "sample-nfe",
                       .meta = "N",
                       .help = "network evaluations for the sample grid",
                       .min = 1,
                       .resumable = true,
                       .common = true});
  t.add(c.sample.solver, {.key = "sample.solver",
                          .flag = "sample-solver",
                          .meta = "NAME",
                          .help = "solver of the sample grid",
                          .choices = {"ipndm", "heun", "ddim", "dpm2", "dpmpp", "unipc", "edm"},
                          .resumable = true});
  t.add(c.sample.order, {.key = "sample.order",
                         .flag = "sample-order",
                         .meta = "K",
                         .help = "order of a multistep solver",
                         .min = 1,
                         .max = 4,
                         .resumable = true});
  t.add(c.sample.count, {.key = "sample.count",
                         .flag = "sample-count",
                         .meta = "N",
                         .help = "images in the sample grid",
                         .min = 1,
                         .max = 4096,
                         .resumable = true});
  t.add(c.sample.code_images,
        {.key = "sample.code_images",
         .help = "training images whose codes are tabled during training; the end takes all",
         .min = 64,
         .resumable = true});
}

config::Program train_program() {
  config::Program p;
  p.name = "tenon-train-qac";
  p.summary =
      "Trains a few-step diffusion model with quantised adaptive conditions (arXiv 2409.17487).";
  p.examples = {"tenon-train-qac --preset fashion-tiny --max-time 3m",
                "tenon-train-qac --preset cifar10-uncond --data cifar10.zip",
                "tenon-train-qac --preset fashion-tiny --resume auto"};
  p.default_preset = "cifar10-uncond";
  p.version = version_text();
  p.presets = {{"cifar10-uncond",
                "CIFAR-10 32x32 as published: 55.7 M parameters",
                "",
                {{"train.batch", "512"}, {"train.kimg", "200000"}}},
               {"ffhq64",
                "FFHQ 64x64 as published: 61.8 M parameters",
                "",
                {{"train.batch", "256"},
                 {"train.kimg", "200000"},
                 {"model.resolution", "64"},
                 {"model.channel_mult", "1,2,2,2"},
                 {"model.dropout", "0.05"},
                 {"data.augment", "0.15"},
                 {"optim.lr", "2e-4"},
                 {"method.encoder_mults", "1,2,4,4"}}},
               {"afhqv2-64",
                "AFHQv2 64x64 as published: 61.8 M parameters",
                "ffhq64",
                {{"model.dropout", "0.25"}, {"method.code_dim", "8"}}},
               {"fashion-tiny",
                "Fashion-MNIST on a CPU in minutes",
                "",
                {{"data.path", "fashion-mnist"},
                 {"train.batch", "64"},
                 {"train.kimg", "45"},
                 {"model.resolution", "28"},
                 {"model.channels", "1"},
                 {"data.augment", "0"},
                 {"model.augment_labels", "false"},
                 {"model.model_channels", "16"},
                 {"model.channel_mult", "1,2,2"},
                 {"model.num_blocks", "1"},
                 {"model.attn_resolutions", "7"},
                 {"model.dropout", "0"},
                 {"method.code_dim", "8"},
                 {"method.encoder_width", "8"},
                 {"method.encoder_mults", "2,4,4"},
                 {"optim.lr", "2e-3"},
                 {"optim.lr_rampup_kimg", "2"},
                 {"sample.code_images", "4096"},
                 {"eval.sample_every", "200"},
                 {"save.every", "200"}}},
               {"bench-mc64",
                "the benchmark's training step: CIFAR-10 shape, 64 channels",
                "",
                {{"train.batch", "16"},
                 {"train.steps", "12"},
                 {"model.model_channels", "64"},
                 {"data.augment", "0"},
                 {"eval.sample_every", "never"},
                 {"save.every", "never"},
                 {"log.every", "1"}}}};
  return p;
}

ModelConfig model_config(const Config& c) {
  ModelConfig m;
  SongUNetConfig& u = m.unet;
  u.img_resolution = c.model.resolution;
  u.in_channels = u.out_channels = c.model.channels;
  u.augment_dim = c.model.augment_labels ? 9 : 0;
  u.model_channels = c.model.model_channels;
  u.channel_mult = c.model.channel_mult;
  u.num_blocks = c.model.num_blocks;
  u.attn_resolutions = c.model.attn_resolutions;
  u.dropout = c.model.dropout;
  if (c.model.arch == "ncsnpp") {
    u.embedding_type = "fourier";
    u.channel_mult_noise = 2;
    u.encoder_type = "residual";
    u.resample_filter = {1, 3, 3, 1};
  }
  u.recompute = c.common.train.recompute == "blocks";
  m.condition = c.method.condition;
  m.encoder.width = c.method.encoder_width;
  m.encoder.mults = c.method.encoder_mults;
  m.encoder.code_dim = c.method.code_dim;
  m.encoder.levels = c.method.quant_levels;
  m.encoder.standardise = c.method.standardise;
  return m;
}

SampleConfig sample_config(const Config& c) {
  SampleConfig s;
  s.solver.name = c.sample.solver;
  s.solver.order = c.sample.order;
  s.nfe = c.sample.nfe;
  return s;
}

data::SourceOptions source_options(const Config& c) {
  data::SourceOptions o;
  o.format = c.common.data.format;
  o.fit.resolution = static_cast<int>(c.model.resolution);
  o.fit.channels = static_cast<int>(c.model.channels);
  o.fit.pad = c.data.pad;
  o.max_size = c.data.max_size;
  o.seed = static_cast<uint64_t>(c.common.train.seed);
  o.mirror = c.data.xflip;
  // Nothing reads them here, but a label file that does not fit its pictures tells of damage.
  o.use_labels = true;
  return o;
}

data::AugmentConfig augment_config(const Config& c) {
  data::AugmentConfig a;
  a.p = c.data.augment;
  return a;
}

Config read_config(const std::filesystem::path& file) {
  Config c;
  config::Table table;
  describe(table, c);
  config::CommandLine command(train_program(), table, {}, {});
  command.resolve(file.string());
  return c;
}

}  // namespace tenon::qac
