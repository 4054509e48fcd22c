// tenon-sample: images from a trained model.
#include <cstdio>
#include <filesystem>

#include "core/config/program.h"
#include "core/io/png.h"
#include "core/io/tensor_io.h"
#include "core/simd/parallel.h"
#include "models/nn/state.h"
#include "trainers/qac/config.h"
#include "trainers/run/grid.h"
#include "trainers/run/resume.h"
#include "trainers/run/signals.h"

using namespace tenon;
namespace fs = std::filesystem;

namespace {

struct Settings {
  std::string ckpt, out = ".", seeds = "0-63", weights = "ema", codes = "empirical";
  int64_t nfe = 6, order = 4, threads = 0, batch = 64, columns = 0, code = 0;
  std::string solver = "ipndm", grid = "auto";
  std::vector<double> levels;
  bool thresholding = false, grid_only = true;
  double churn = 0, churn_min = 0, churn_max = 1e300, churn_noise = 1, rho = 7;
};

void describe(config::Table& t, Settings& s) {
  t.group("sampling");
  t.add(s.ckpt, {.flag = "ckpt",
                 .meta = "PATH",
                 .help = "run, checkpoint folder or weight file",
                 .path = true,
                 .common = true});
  t.add(s.out, {.flag = "out",
                .meta = "DIR",
                .help = "folder for the images",
                .path = true,
                .common = true});
  t.add(s.seeds, {.flag = "seeds",
                  .meta = "A-B",
                  .help = "one seed an image, e.g. 0-63 or 5",
                  .common = true});
  t.add(s.nfe,
        {.flag = "nfe", .meta = "N", .help = "network evaluations", .min = 1, .common = true});
  t.add(s.solver, {.flag = "solver",
                   .meta = "NAME",
                   .help = "ODE solver",
                   .choices = {"ipndm", "heun", "ddim", "dpm2", "dpmpp", "unipc", "edm"},
                   .common = true});
  t.add(s.order, {.flag = "order",
                  .meta = "K",
                  .help = "order of a multistep solver",
                  .min = 1,
                  .max = 4,
                  .common = true});
  t.add(s.grid, {.flag = "grid",
                 .meta = "NAME",
                 .help = "noise levels; auto: logsnr for dpmpp and unipc, else polynomial",
                 .choices = {"auto", "polynomial", "logsnr", "time_uniform"}});
  t.add(s.rho,
        {.flag = "rho", .meta = "X", .help = "exponent of the grid", .min = 0, .min_open = true});
  t.add(s.levels, {.flag = "levels", .meta = "X,X,...", .help = "explicit noise levels, falling"});
  t.add(s.thresholding, {.flag = "thresholding", .help = "dynamic thresholding (dpmpp, unipc)"});
  t.add(s.churn, {.flag = "churn", .meta = "X", .help = "S_churn of the edm solver", .min = 0});
  t.add(s.churn_min, {.flag = "churn-min", .meta = "X", .help = "S_min", .min = 0});
  t.add(s.churn_max, {.flag = "churn-max", .meta = "X", .help = "S_max", .min = 0});
  t.add(s.churn_noise, {.flag = "churn-noise", .meta = "X", .help = "S_noise", .min = 0});
  t.add(s.codes, {.flag = "codes",
                  .meta = "HOW",
                  .help = "which code an image gets: of a random training image, any used one, or "
                          "the one of --code",
                  .choices = {"empirical", "used", "fixed"}});
  t.add(s.code, {.flag = "code", .meta = "N", .help = "the code for --codes fixed", .min = 0});
  t.add(s.weights, {.flag = "weights",
                    .meta = "WHICH",
                    .help = "averaged or last weights",
                    .choices = {"ema", "last"}});
  t.add(s.batch,
        {.flag = "batch", .meta = "N", .help = "images at a time; does not change them", .min = 1});
  t.add(s.columns,
        {.flag = "columns", .meta = "N", .help = "columns of the grid; 0: square", .min = 0});
  t.add(s.grid_only, {.flag = "grid-only", .help = "write the grid only, no single images"});
  t.add(s.threads, {.flag = "threads", .meta = "N", .help = "0: physical cores", .min = 0});
}

std::vector<int64_t> parse_seeds(const std::string& text) {
  const size_t dash = text.find('-');
  const int64_t first = config::parse_count(text.substr(0, dash));
  const int64_t last =
      dash == std::string::npos ? first : config::parse_count(text.substr(dash + 1));
  check(first >= 0 && last >= first && last - first < 10'000'000, ErrorKind::Usage,
        "--seeds {}: want A-B with A <= B", text);
  std::vector<int64_t> out;
  for (int64_t s = first; s <= last; ++s) out.push_back(s);
  return out;
}

qac::SampleConfig sample_config(const Settings& s) {
  qac::SampleConfig c;
  c.solver.name = s.solver;
  c.solver.order = s.solver == "ipndm" ? s.order : std::min<int64_t>(s.order, 3);
  c.solver.thresholding = s.thresholding;
  c.solver.churn = {s.churn, s.churn_min, s.churn_max, s.churn_noise};
  c.grid.kind = !s.levels.empty()                            ? "explicit"
                : s.grid != "auto"                           ? s.grid
                : s.solver == "dpmpp" || s.solver == "unipc" ? "logsnr"
                                                             : "polynomial";
  c.grid.levels = s.levels;
  c.grid.rho = s.rho;
  c.nfe = s.nfe;
  c.batch = s.batch;
  c.codes = s.codes == "fixed"  ? qac::CodeChoice::Fixed
            : s.codes == "used" ? qac::CodeChoice::UniformUsed
                                : qac::CodeChoice::Empirical;
  c.fixed_code = s.code;
  return c;
}

int run_sampling(int argc, char** argv) {
  Settings s;
  config::Table table;
  describe(table, s);
  config::Program program;
  program.name = "tenon-sample";
  program.summary = "Draws images from a trained diffusion model.";
  program.examples = {"tenon-sample --ckpt runs/0001-qac-fashion-tiny-b64-f32 --seeds 0-63",
                      "tenon-sample --ckpt runs/0001-x --solver edm --nfe 35 --out images"};
  program.version = qac::train_program().version;
  config::CommandLine command(program, table, std::vector<std::string>(argv + 1, argv + argc),
                              config::process_environment());
  if (const std::string text = command.information(); !text.empty()) {
    std::fputs(text.c_str(), stdout);
    return 0;
  }
  command.resolve();
  check(!s.ckpt.empty(), ErrorKind::Usage, "no checkpoint: give --ckpt PATH");
  if (s.threads > 0) set_threads(static_cast<int>(s.threads));

  const run::CheckpointChoice choice = run::find_ckpt(s.ckpt);
  if (!choice.why.empty()) std::fprintf(stderr, "checkpoint: %s\n", choice.why.c_str());
  check(
      fs::is_directory(choice.path), ErrorKind::Usage,
      "{} is a weight file; tenon-sample wants a checkpoint folder, which says what network it is",
      choice.path.string());
  const qac::Config config = qac::read_config(choice.path / "config.json");
  qac::Model model(qac::model_config(config));
  model.set_training(false);
  const io::SafetensorsReader file(choice.path, ErrorKind::Checkpoint,
                                   s.weights == "ema" ? "ema" : "model");
  nn::load(model, file, {.ignore = {"codes"}, .optional = {}});
  std::vector<int64_t> codes;
  const io::SafetensorsReader ema(choice.path, ErrorKind::Checkpoint, "ema");
  if (ema.contains("codes")) codes = io::read_tensor(ema.at("codes")).to_vector<int64_t>();

  const qac::SampleConfig sampling = sample_config(s);
  const std::vector<int64_t> seeds = parse_seeds(s.seeds);
  const int64_t levels = sampling.grid.kind == "explicit"
                             ? static_cast<int64_t>(sampling.grid.levels.size())
                             : qac::solver_levels(sampling.solver, sampling.nfe);
  const std::string how = qac::describe(sampling.solver, sampling.grid, levels);
  std::fprintf(stderr, "%zu images, %s\n", seeds.size(), how.c_str());
  io::make_folders(s.out);
  run::StopRequest stop;
  const auto pixels = qac::sample(model, codes, seeds, sampling,
                                  [&](int64_t, const Tensor&) { return !stop.stop(); });
  if (stop.stop()) {
    std::fprintf(stderr, "stopped by %s: no image is written\n", stop.reason().c_str());
    return stop.leave();
  }

  const int size = static_cast<int>(config.model.resolution);
  const int channels = static_cast<int>(config.model.channels);
  std::map<std::string, std::string> text = {
      {"checkpoint", choice.path.string()}, {"seeds", s.seeds}, {"solver", how}};
  const fs::path grid = fs::path(s.out) / "samples.png";
  run::write_grid(grid,
                  run::make_grid(pixels, static_cast<int>(seeds.size()), size, size, channels,
                                 static_cast<int>(s.columns)),
                  text);
  std::printf("%s\n", grid.c_str());
  if (!s.grid_only) {
    const size_t bytes =
        static_cast<size_t>(size) * static_cast<size_t>(size) * static_cast<size_t>(channels);
    for (size_t i = 0; i < seeds.size(); ++i) {
      const std::vector<uint8_t> one(pixels.begin() + static_cast<int64_t>(i * bytes),
                                     pixels.begin() + static_cast<int64_t>((i + 1) * bytes));
      text["seeds"] = std::to_string(seeds[i]);
      const fs::path png = fs::path(s.out) / fmt::format("{:06}.png", seeds[i]);
      run::write_grid(png, run::make_grid(one, 1, size, size, channels, 1), text);
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  use_passive_waiting(argv);
  return config::program_main([&] { return run_sampling(argc, argv); });
}
