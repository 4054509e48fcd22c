#include "trainers/run/common.h"

#include <cmath>

#include "core/base/error.h"

namespace tenon::run {

using config::Unit;

void describe(config::Table& t, Common& c) {
  t.group("data");
  t.add(c.data.path,
        {.key = "data.path",
         .flag = "data",
         .meta = "PATH",
         .help = "images: folder, zip, IDX or CIFAR files; generated:N for random ones",
         .path = true,
         .common = true});
  t.add(c.data.format, {.key = "data.format",
                        .flag = "data-format",
                        .meta = "NAME",
                        .help = "what the data is; auto looks at the files"});
  t.add(c.data.workers, {.key = "data.workers",
                         .flag = "workers",
                         .meta = "N",
                         .help = "threads that read and decode; the order does not depend on it",
                         .min = 0,
                         .max = 1024,
                         .resumable = true});
  t.add(c.data.on_bad_sample, {.key = "data.on_bad_sample",
                               .flag = "on-bad-sample",
                               .meta = "stop|skip:N",
                               .help = "what to do about a damaged sample; skip:N allows N of them",
                               .resumable = true});

  t.group("training");
  t.add(c.train.batch, {.key = "train.batch",
                        .flag = "batch",
                        .meta = "N",
                        .help = "samples a step, over all ranks",
                        .min = 1,
                        .common = true,
                        .letter = 'b'});
  t.add(c.train.micro_batch, {.key = "train.micro_batch",
                              .flag = "micro-batch",
                              .meta = "N",
                              .help = "samples a rank holds at once: less memory; same step but "
                                      "for batch statistics and rounding",
                              .min = 1,
                              .none = "auto",
                              .resumable = true,
                              .common = true});
  t.add(c.train.steps, {.key = "train.steps",
                        .flag = "steps",
                        .meta = "N",
                        .help = "length in steps",
                        .min = 1,
                        .exclusive = "length",
                        .resumable = true,
                        .common = true});
  t.add(c.train.epochs, {.key = "train.epochs",
                         .flag = "epochs",
                         .meta = "N",
                         .help = "length in passes over the data",
                         .min = 0,
                         .min_open = true,
                         .exclusive = "length",
                         .resumable = true});
  t.add(c.train.kimg, {.key = "train.kimg",
                       .flag = "kimg",
                       .meta = "N",
                       .help = "length in thousands of images",
                       .min = 0,
                       .min_open = true,
                       .exclusive = "length",
                       .resumable = true,
                       .common = true});
  t.add(c.train.tokens, {.key = "train.tokens",
                         .flag = "tokens",
                         .meta = "N",
                         .help = "length in tokens",
                         .min = 1,
                         .exclusive = "length",
                         .resumable = true});
  t.add(c.train.max_time, {.key = "train.max_time",
                           .flag = "max-time",
                           .meta = "TIME",
                           .help = "save and stop after this time, e.g. 30m; 0 for no limit",
                           .min = 0,
                           .unit = Unit::Seconds,
                           .resumable = true,
                           .common = true});
  t.add(c.train.seed, {.key = "train.seed",
                       .flag = "seed",
                       .meta = "N",
                       .help = "of weights, noise and data order",
                       .min = 0,
                       .common = true});
  t.add(c.train.init_from, {.key = "train.init_from",
                            .flag = "init-from",
                            .meta = "CKPT",
                            .help = "start from these weights, with nothing else restored",
                            .path = true,
                            .resumable = true});
  t.add(c.train.nan,
        {.key = "train.nan",
         .flag = "nan",
         .meta = "WHAT",
         .help = "when a loss or gradient is not finite: end, leave out the update, or "
                 "put numbers in the gradient (NaN: 0, infinity: 1e5)",
         .choices = {"stop", "skip", "replace"},
         .resumable = true});
  t.add(c.train.recompute, {.key = "train.recompute",
                            .flag = "recompute",
                            .meta = "WHAT",
                            .help = "activations to compute again in backward: less memory, slower",
                            .choices = {"none", "blocks"},
                            .resumable = true});
  t.add(c.train.deterministic, {.key = "train.deterministic",
                                .flag = "deterministic",
                                .help = "only implementations with the same bits every time; all "
                                        "of those for the CPU are"});
  t.add(c.train.overfit_batch, {.key = "train.overfit_batch",
                                .flag = "overfit-batch",
                                .help = "train on the first batch only, to see the loss fall"});

  t.group("evaluation and samples");
  t.add(c.eval.sample_every, {.key = "eval.sample_every",
                              .flag = "sample-every",
                              .meta = "WHEN",
                              .help = "steps (500, 10k) or time (30m) between evaluations and "
                                      "sample grids; never: none, not even at the end",
                              .resumable = true,
                              .common = true});

  t.group("saving and logging");
  t.add(c.save.every, {.key = "save.every",
                       .flag = "save-every",
                       .meta = "WHEN",
                       .help = "between checkpoints",
                       .resumable = true,
                       .common = true});
  t.add(c.save.keep, {.key = "save.keep",
                      .flag = "keep",
                      .meta = "N",
                      .help = "newest checkpoints to keep, 0 for all",
                      .min = 0,
                      .max = 1e6,
                      .resumable = true});
  t.add(c.save.keep_every, {.key = "save.keep_every",
                            .flag = "keep-every",
                            .meta = "N",
                            .help = "also keep checkpoints of multiples of this step",
                            .min = 0,
                            .resumable = true});
  t.add(c.log.every, {.key = "log.every",
                      .flag = "log-every",
                      .meta = "N",
                      .help = "steps between lines of log and metrics",
                      .min = 1,
                      .resumable = true,
                      .common = true});
  t.add(c.log.tensorboard, {.key = "log.tensorboard",
                            .flag = "tensorboard",
                            .help = "write TensorBoard files",
                            .resumable = true});
  t.add(c.log.report,
        {.key = "log.report", .flag = "report", .help = "write report.html", .resumable = true});

  t.group("device");
  t.add(c.device.name, {.key = "device.name",
                        .flag = "device",
                        .meta = "NAME",
                        .help = "auto, cpu, cuda, cuda:N",
                        .resumable = true,
                        .common = true});
  t.add(c.device.threads, {.key = "device.threads",
                           .flag = "threads",
                           .meta = "N",
                           .help = "CPU threads, 0 for the number of physical cores",
                           .min = 0,
                           .max = 4096,
                           .resumable = true,
                           .common = true});
  t.add(c.device.precision, {.key = "device.precision",
                             .flag = "precision",
                             .meta = "NAME",
                             .help = "arithmetic of the model",
                             .choices = {"auto", "f32", "bf16"}});

  t.group("this call");
  t.add(c.call.out, {.flag = "out",
                     .meta = "DIR",
                     .help = "folder of runs",
                     .common = true,
                     .variable = "TENON_RUNS"});
  t.add(c.call.run_dir, {.flag = "run-dir",
                         .meta = "DIR",
                         .help = "exactly this run folder, not the next number in --out"});
  t.add(c.call.name,
        {.flag = "name", .meta = "TEXT", .help = "end of the run's name", .common = true});
  t.add(c.call.resume, {.flag = "resume",
                        .meta = "auto|PATH",
                        .help = "go on with the newest run, or with this run or checkpoint",
                        .bare = "auto",
                        .common = true});
  t.add(c.call.allow_change, {.flag = "allow-change",
                              .meta = "KEY,..",
                              .help = "keys that may differ from the resumed run"});
  t.add(c.call.dry_run, {.flag = "dry-run",
                         .help = "all checks and one step, then stop",
                         .common = true,
                         .letter = 'n'});
  t.add(c.call.print_model, {.flag = "print-model", .help = "print the parameters, and stop"});
  t.add(c.call.progress, {.flag = "progress",
                          .meta = "HOW",
                          .help = "the progress line",
                          .choices = {"auto", "plain", "json", "off"}});
  t.add(c.call.color, {.flag = "color",
                       .meta = "WHEN",
                       .help = "colours on a terminal",
                       .choices = {"auto", "always", "never"}});
  t.add(c.call.quiet, {.flag = "quiet", .help = "only warnings and errors", .letter = 'q'});
}

std::int64_t total_steps(const Common& c, std::int64_t per_step, std::int64_t samples,
                         std::int64_t tokens_per_step) {
  TENON_ASSERT(per_step > 0);
  const auto up = [](double steps) {
    check(steps < 9e15, ErrorKind::Usage, "the training would be longer than 9e15 steps");
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(steps - 1e-9)));
  };
  const double batch = static_cast<double>(per_step);
  if (c.train.steps) return *c.train.steps;
  if (c.train.kimg) return up(*c.train.kimg * 1000 / batch);
  if (c.train.epochs) {
    check(samples > 0, ErrorKind::Usage, "--epochs: the size of the data is not known");
    return up(*c.train.epochs * static_cast<double>(samples) / batch);
  }
  if (c.train.tokens) {
    check(tokens_per_step > 0, ErrorKind::Usage, "--tokens: the data is not text");
    return up(static_cast<double>(*c.train.tokens) / static_cast<double>(tokens_per_step));
  }
  throw_hint(ErrorKind::Usage, "for example --steps 10k", "the length of the training is not set");
}

}  // namespace tenon::run
