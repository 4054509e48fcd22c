// The settings that all trainers share. A trainer's own configuration holds a Common and adds its
// lines to the same table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/config/table.h"

namespace tenon::run {

struct Common {
  struct {
    std::string path;
    std::string format = "auto";
    std::int64_t workers = 2;
    std::string on_bad_sample = "stop";  // or skip:N
  } data;
  struct {
    std::int64_t batch = 512;
    std::optional<std::int64_t> micro_batch;  // nothing: chosen by the trainer
    // At most one of these has a value.
    std::optional<std::int64_t> steps, tokens;
    std::optional<double> epochs, kimg;
    double max_time = 0;  // seconds, 0: no limit
    std::int64_t seed = 0;
    std::string init_from;
    std::string nan = "stop";
    std::string recompute = "none";
    bool deterministic = false;
    bool overfit_batch = false;
  } train;
  struct {
    config::Interval sample_every{};
  } eval;
  struct {
    config::Interval every{0, 1800};
    std::int64_t keep = 3, keep_every = 0;
  } save;
  struct {
    std::int64_t every = 10;  // steps
    bool tensorboard = true, report = true;
  } log;
  struct {
    std::string name = "auto";
    std::int64_t threads = 0;  // 0: physical cores
    std::string precision = "auto";
  } device;
  // Of this call only, not part of the configuration.
  struct {
    std::string out = "runs", run_dir, name, resume;
    std::vector<std::string> allow_change;
    bool dry_run = false, print_model = false, quiet = false;
    std::string progress = "auto", color = "auto";
  } call;
};

// Adds the lines of the table. Fields may be given other defaults before.
void describe(config::Table& table, Common& common);

// Steps of a training that sees `samples_per_step` of a data set with `samples` (0: unknown), from
// steps, epochs, kimg or tokens (`tokens_per_step` 0: not a language model). Usage error if none
// is set or it does not fit.
std::int64_t total_steps(const Common& common, std::int64_t samples_per_step, std::int64_t samples,
                         std::int64_t tokens_per_step = 0);

}  // namespace tenon::run
