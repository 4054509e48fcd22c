// tenon-train-qac: trains a QAC model from the command line.
#include <fmt/ranges.h>

#include <cstdio>

#include "autograd/engine.h"
#include "core/config/program.h"
#include "core/memory/allocator.h"
#include "core/memory/process.h"
#include "core/simd/parallel.h"
#include "models/nn/state.h"
#include "ops/ops.h"
#include "trainers/loop/loop.h"
#include "trainers/qac/task.h"
#include "trainers/run/session.h"

using namespace tenon;

namespace {

int skip_limit(const std::string& text) {
  if (text == "stop") return 0;
  check(text.starts_with("skip:"), ErrorKind::Usage, "--on-bad-sample: '{}', want stop or skip:N",
        text);
  return static_cast<int>(config::parse_count(text.substr(5)));
}

loop::LoopOptions loop_options(const qac::Config& c, int64_t total) {
  loop::LoopOptions o;
  o.total_steps = total;
  o.batch = c.common.train.batch;
  o.micro_batch = c.common.train.micro_batch.value_or(0);
  o.lr = [&c](int64_t samples) {
    return qac::ramped_lr(c.optim.lr, static_cast<double>(samples), c.optim.lr_rampup_kimg * 1000);
  };
  o.ema_beta = [&c](int64_t samples) {
    return qac::ema_beta(static_cast<double>(c.common.train.batch), static_cast<double>(samples),
                         c.optim.ema_mimg * 1e6, c.optim.ema_rampup);
  };
  o.save_every = c.common.save.every;
  o.evaluate_every = c.common.eval.sample_every;
  o.overfit_batch = c.common.train.overfit_batch;
  o.skip_nonfinite = c.common.train.nan == "skip";
  return o;
}

void print_model(const nn::Module& model) {
  for (const auto& [name, p] : model.named())
    fmt::print("{:<56} {:<18} {}\n", name,
               fmt::format("[{}]", fmt::join(p->tensor().sizes(), ", ")),
               p->trainable() ? "" : "buffer");
  fmt::print("{} parameters\n", model.parameter_count());
}

int run_training(int argc, char** argv) {
  qac::Config c;
  config::Table table;
  qac::describe(table, c);
  const auto plan = run::plan(qac::train_program(), table, c.common, "qac", argc, argv);
  if (!plan) return 0;
  check(c.common.device.name == "auto" || c.common.device.name == "cpu", ErrorKind::Device,
        "--device {}: this build trains on the CPU", c.common.device.name);
  check(!c.common.data.path.empty(), ErrorKind::Usage, "no data: give --data PATH");
  if (c.common.device.threads > 0) set_threads(static_cast<int>(c.common.device.threads));
  // Everything that can be wrong is found before the first step.
  const data::SourcePtr source = data::open_source(c.common.data.path, qac::source_options(c));
  const int64_t total = run::total_steps(c.common, c.common.train.batch, source->size());
  qac::TrainTask task(c, source);
  if (c.common.call.print_model) {
    print_model(task.model());
    return 0;
  }
  const nn::FlatParameters parameters(task.model());
  loop::Optimizer optimizer(parameters, {.beta1 = c.optim.beta1,
                                         .beta2 = c.optim.beta2,
                                         .eps = c.optim.eps,
                                         .replace_nonfinite = c.common.train.nan == "replace"});
  loop::TrainState state;
  state.seed = static_cast<uint64_t>(c.common.train.seed);
  check(!(plan->resume && !c.common.train.init_from.empty()), ErrorKind::Usage,
        "--resume and --init-from together: choose one");
  if (plan->resume)
    state = loop::load_checkpoint(plan->resume->checkpoint, task, parameters, optimizer);
  else if (!c.common.train.init_from.empty())
    nn::load(task.model(), io::SafetensorsReader(run::find_ckpt(c.common.train.init_from).path),
             {.ignore = {"codes"}, .optional = {"model.map_label.", "encoder."}});

  data::PrefetchOptions prefetch;
  prefetch.batch = c.common.train.batch;
  prefetch.workers = static_cast<int>(c.common.data.workers);
  prefetch.skip_limit = skip_limit(c.common.data.on_bad_sample);
  prefetch.on_skip = [](const std::string& text) {
    std::fprintf(stderr, "warning: skipped %s\n", text.c_str());
  };
  data::Prefetcher data(source, data::Sampler(source->size(), state.seed), prefetch,
                        c.common.train.overfit_batch ? 0 : state.step);
  const std::string precision = c.common.device.precision == "bf16" ? "bf16" : "f32";
  const std::optional<Autocast> autocast =
      precision == "bf16" ? std::optional<Autocast>(std::in_place, DType::bf16) : std::nullopt;

  if (c.common.call.dry_run) {
    const data::Batch& batch = data.next();
    const int64_t micro = c.common.train.micro_batch.value_or(batch.size);
    const loop::BatchPart part{batch, 0, std::min(micro, batch.size)};
    parameters.begin_gradients();
    const Tensor mean = affine(task.loss_sum(part), 1 / task.weight(part), 0);
    const double loss = mean.item();
    backward(mean);
    parameters.finish_gradients();
    optimizer.step(0, 1);
    std::printf(
        "data        %s\nmodel       %lld parameters\nsteps       %lld of %lld images\n"
        "first loss  %.4g\nmemory      %s after one step\n",
        source->info().description.c_str(), static_cast<long long>(task.model().parameter_count()),
        static_cast<long long>(total), static_cast<long long>(c.common.train.batch), loss,
        format_bytes(peak_resident_bytes()).c_str());
    return 0;
  }

  run::StopRequest stop(c.common.train.max_time);
  run::Session session(
      *plan, c.common,
      fmt::format("qac-{}-b{}-{}", plan->command.preset(), c.common.train.batch, precision), total);
  session.log().line(fmt::format("data   {}", source->info().description));
  session.log().line(fmt::format("model  {} parameters, batch {}, {} steps, {} threads, {}",
                                 task.model().parameter_count(), c.common.train.batch, total,
                                 threads(), precision));
  session.log().line(fmt::format("run    {}", session.folder().path().string()));
  loop::Checkpointer checkpointer({.root = session.folder().checkpoints(),
                                   .keep = static_cast<int>(c.common.save.keep),
                                   .keep_every = c.common.save.keep_every,
                                   .config = plan->command.printed_config(false)});
  loop::Outcome outcome;
  try {
    outcome = loop::train(task, parameters, optimizer, data, state, checkpointer, session, stop,
                          loop_options(c, total));
  } catch (const Error& e) {
    session.finish("failed", e.message(), exit_code(e.kind()));
    throw;
  }
  if (outcome == loop::Outcome::Stopped) {
    session.finish("stopped", stop.reason(), exit_code(ErrorKind::Stopped));
    return stop.leave();
  }
  session.finish("done");
  std::printf("%s\n", session.folder().path().c_str());
  std::fprintf(stderr, "to sample: tenon-sample --ckpt %s\n", session.folder().path().c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  use_passive_waiting(argv);
  return config::program_main([&] { return run_training(argc, argv); });
}
