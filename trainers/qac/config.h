// The settings of tenon-train-qac and of its checkpoints.
#pragma once

#include "core/config/command_line.h"
#include "datasets/augment.h"
#include "datasets/open_source.h"
#include "models/qac/model.h"
#include "models/qac/sampling.h"
#include "trainers/run/common.h"

namespace tenon::qac {

struct Config {
  run::Common common;
  struct {
    bool condition = true;
    int64_t code_dim = 10, quant_levels = 2, encoder_width = 48;
    std::vector<int64_t> encoder_mults = {2, 4, 4};
    bool standardise = true;
    double noise_mean = -1.2, noise_std = 1.2;
  } method;
  struct {
    std::string arch = "ddpmpp";
    int64_t resolution = 32, channels = 3, model_channels = 128, num_blocks = 4;
    std::vector<int64_t> channel_mult = {2, 2, 2}, attn_resolutions = {16};
    double dropout = 0.13;
    bool augment_labels = true;  // the network takes augmentation labels, even at --augment 0
  } model;
  struct {
    double augment = 0.12;
    bool xflip = false;
    int64_t max_size = 0;
    bool pad = false;
  } data;
  struct {
    double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
    double lr_rampup_kimg = 10000;
    double ema_mimg = 0.5, ema_rampup = 0.05;
  } optim;
  struct {
    int64_t nfe = 6, order = 4, count = 64, code_images = 10000;
    std::string solver = "ipndm";
  } sample;
};

void describe(config::Table& table, Config& c);
// Presets, examples and texts of tenon-train-qac.
config::Program train_program();

ModelConfig model_config(const Config& c);
SampleConfig sample_config(const Config& c);
data::SourceOptions source_options(const Config& c);
data::AugmentConfig augment_config(const Config& c);

// The configuration saved in a checkpoint or run folder (config.json).
Config read_config(const std::filesystem::path& file);

}  // namespace tenon::qac
