#include "trainers/run/session.h"

#include <fmt/chrono.h>

#include <cmath>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/base/version.h"
#include "core/io/checkpoint_folder.h"
#include "core/io/png.h"
#include "trainers/run/grid.h"
#include "trainers/run/report.h"

namespace tenon::run {
namespace {

RunFolder open_folder(const Plan& plan, const Common& c, const std::string& run_name) {
  if (plan.resume && !plan.resume->fork) return RunFolder::open(plan.resume->run);
  if (!c.call.run_dir.empty()) {
    std::error_code code;
    if (std::filesystem::exists(std::filesystem::path(c.call.run_dir) / "metrics.jsonl", code) &&
        c.call.resume.empty())
      throw_hint(ErrorKind::Usage, "--resume goes on with it; another --run-dir starts afresh",
                 "--run-dir: '{}' holds a run already", c.call.run_dir);
    return RunFolder::open(c.call.run_dir);
  }
  return RunFolder::create(c.call.out,
                           c.call.name.empty() ? run_name : run_name + "-" + c.call.name);
}

std::string cpu_name() {
  std::ifstream in("/proc/cpuinfo");
  for (std::string line; std::getline(in, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown";
}

std::string fingerprint(const std::string& text) {
  // FNV-1a: names a configuration, protects nothing.
  std::uint64_t h = 14695981039346656037ull;
  for (unsigned char c : text) h = (h ^ c) * 1099511628211ull;
  return fmt::format("{:016x}", h);
}

}  // namespace

std::optional<Plan> plan(const config::Program& program, config::Table& table, Common& common,
                         const std::string& task, int argc, const char* const* argv) {
  Plan p{task,
         config::CommandLine(program, table, std::vector<std::string>(argv + 1, argv + argc),
                             config::process_environment()),
         std::nullopt};
  if (const std::string text = p.command.information(); !text.empty()) {
    fmt::print("{}", text);
    return std::nullopt;
  }
  p.command.resolve();
  for (const std::string& warning : p.command.warnings())
    fmt::print(stderr, "warning: {}\n", warning);
  check(common.call.name.find('/') == std::string::npos, ErrorKind::Usage,
        "--name: '{}' cannot be part of a folder's name", common.call.name);
  p.resume = find_resume(
      {common.call.resume, common.call.out, common.call.run_dir, task, common.call.name});
  if (p.resume) {
    if (!common.train.init_from.empty() && common.call.resume != "auto")
      throw_hint(ErrorKind::Usage, "--init-from starts a new run from weights alone",
                 "--resume and --init-from exclude each other");
    p.command.resolve(p.resume->config().string());
    check_resumed_config(p.command, *p.resume, common.call.allow_change);
  }
  if (p.command.wants_config()) {
    fmt::print("{}", p.command.printed_config());
    return std::nullopt;
  }
  return p;
}

Session::Session(const Plan& plan, const Common& common, const std::string& run_name,
                 std::int64_t total_steps, const std::map<std::string, std::string>& environment)
    : folder_(open_folder(plan, common, run_name)), plan_(plan), common_(common) {
  Log::Options options;
  options.mode = parse_progress_mode(common.call.progress);
  options.color = use_color(common.call.color, stderr);
  options.quiet = common.call.quiet;
  options.file = folder_ / "log.txt";
  log_ = std::make_unique<Log>(options);

  const std::string config = plan.command.printed_config(false);
  folder_.write_config(config);
  folder_.add_command(plan.command.text());
  folder_.copy_inputs(plan.command.config_files());
  write_environment(environment);
  io::clean_checkpoint_leftovers(folder_.checkpoints());

  metrics_ = std::make_unique<MetricsWriter>(folder_ / "metrics.jsonl");
  const std::int64_t step = plan.resume ? plan.resume->step : 0;
  if (!plan.resume || plan.resume->fork) {
    Record header("header");
    header.add("run", folder_.name())
        .add("commit", std::string(build_info().commit))
        .add("config", fingerprint(config))
        .add("world", std::int64_t{1});
    metrics_->write(header);
  }
  if (plan.resume) record(Record("resume", step).add("from", plan.resume->checkpoint.string()));
  if (common.log.tensorboard)
    events_ = std::make_unique<EventWriter>(folder_ / "tb", step, [](const std::string& text) {
      fmt::print(stderr, "warning: {}\n", text);
    });
  status_.step = step;
  status_.total = total_steps;
  folder_.write_status(status_);
}

Session::~Session() {
  if (finished_) return;
  try {
    finish("failed", "ended by an error; the last lines of the terminal tell which", 1);
  } catch (const std::exception&) {
    // The disk may be what failed; the error on its way out is the one to show.
  }
}

void Session::write_environment(const std::map<std::string, std::string>& more) const {
  using Json = nlohmann::ordered_json;
  const BuildInfo& build = build_info();
  Json j;
  j["time"] = fmt::format("{:%Y-%m-%dT%H:%M:%S%z}", fmt::localtime(std::time(nullptr)));
  j["host"] = host_name();
  j["version"] = build.version;
  j["commit"] = build.commit;
  j["changed"] = build.dirty;
  j["compiler"] = build.compiler;
  j["build"] = std::string(build.build_type) + " " + build.flags;
  j["cpu"] = cpu_name();
  j["processors"] = std::thread::hardware_concurrency();
  std::error_code code;
  j["folder"] = std::filesystem::current_path(code).string();
  for (const auto& [name, value] : more) j[name] = value;
  for (const std::string& variable : config::process_environment())
    for (const char* prefix : {"TENON_", "OMP_", "CUDA_VISIBLE_DEVICES", "NCCL_", "SLURM_JOB_ID"})
      if (variable.rfind(prefix, 0) == 0)
        j["variables"][variable.substr(0, variable.find('='))] =
            variable.substr(variable.find('=') + 1);
  j["preset"] = plan_.command.preset();
  j["changes"] = Json::array();
  for (const config::Difference& d : plan_.command.changes())
    j["changes"].push_back(
        {{"key", d.key}, {"preset", d.before}, {"value", d.after}, {"origin", d.origin}});
  const std::string text = j.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
  io::write_file_atomic(folder_ / "env.json", std::string_view(text));
}

void Session::record(Record r) {
  metrics_->write(r);
  log_->record(r);
  if (!events_) return;
  if (r.kind == "train")
    for (const auto& [key, value] : r.values)
      if (const auto number = r.number(key); number && std::isfinite(*number))
        events_->scalar("train/" + key, r.step, *number);
  if (r.kind == "eval")
    if (const auto number = r.number("value"))
      events_->scalar("eval/" + r.text("name"), r.step, *number);
}

// With what the evaluations and saves until the end will take. Those on a clock come as often as
// the steps leave time for.
std::optional<double> Session::seconds_left(std::int64_t step) const {
  const auto steps = meters_.seconds_left(step, status_.total);
  if (!steps) return steps;
  const auto due = [&](const config::Interval& every) {
    if (every.steps > 0) return static_cast<double>((status_.total - step) / every.steps);
    return every.seconds > 0 ? std::floor(*steps / every.seconds) : 0.0;
  };
  return meters_.seconds_left(step, status_.total, due(common_.eval.sample_every),
                              due(common_.save.every));
}

bool Session::step_done(ProgressLine line, const Record& more) {
  line.total = status_.total;
  status_.step = line.step;
  line.seconds_left = seconds_left(line.step);
  if (line.step % common_.log.every != 0 && line.step != line.total) {
    if (const auto median = meters_.median_step(); median && line.per_second == 0)
      line.per_second = static_cast<double>(common_.train.batch) / *median;
    log_->progress(line, false);
    return false;
  }
  const Meters::Window w = meters_.take();
  line.loss = w.loss;
  line.per_second = w.per_second;
  line.data_share = w.data_share;
  log_->progress(line, true);

  Record r("train", line.step);
  r.add("loss", w.loss).add("lr", line.lr).add("grad_norm", line.grad_norm);
  r.add("samples", line.step * common_.train.batch);
  r.add("per_s", w.per_second)
      .add("step_ms", w.step_seconds * 1e3)
      .add("data_ms", w.data_seconds * 1e3);
  if (line.mfu) r.add("mfu", *line.mfu);
  r.add("mem_peak_gib", line.memory_bytes / (1024.0 * 1024 * 1024));
  for (const auto& [key, value] : more.values) r.add(key, value);
  record(std::move(r));
  status_.eta_seconds = line.seconds_left;
  folder_.write_status(status_);
  return true;
}

void Session::sample(std::int64_t step, const io::Image& grid,
                     std::map<std::string, std::string> text) {
  const std::string name = io::checkpoint_name(step) + ".png";
  text.emplace("run", folder_.name());
  text.emplace("step", fmt::format("{}", step));
  write_grid(folder_.samples() / name, grid, text);
  Record r("sample", step);
  r.add("file", "samples/" + name);
  for (const auto& [key, value] : text)
    if (key != "run" && key != "step") r.add(key, value);
  record(std::move(r));
  if (events_)
    events_->image("samples", step, grid.width, grid.height, grid.channels,
                   io::as_text(io::encode_png(grid)));
}

void Session::checkpoint_saved(std::int64_t step, const std::string& name, double seconds) {
  status_.checkpoint = name;
  record(Record("checkpoint", step).add("name", name).add("seconds", seconds));
  folder_.write_status(status_);
}

void Session::write_budget(std::int64_t step) {
  Record r("budget", step);
  const auto budget = meters_.budget();
  for (std::size_t i = 0; i < budget.size(); ++i)
    r.add(std::string(kPhaseNames[i]) + "_s", budget[i]);
  record(std::move(r));
}

void Session::report() {
  if (!common_.log.report) return;
  try {
    write_budget(status_.step);
    write_report({.runs = {folder_.path()}}, folder_ / "report.html");
  } catch (const Error& error) {
    log_->warning("report.html: " + error.message());
  }
}

void Session::finish(const std::string& state, const std::string& why, int code) {
  if (finished_) return;
  finished_ = true;
  log_->clear();
  status_.state = state;
  status_.exit_code = code;
  status_.error = why;
  status_.eta_seconds = 0;
  Record r("stop", status_.step);
  r.add("state", state).add("why", why).add("seconds", meters_.elapsed());
  r.add("per_s", static_cast<double>(meters_.samples()) / std::max(1e-9, meters_.elapsed()));
  record(std::move(r));
  folder_.write_status(status_);
  report();
  if (events_) events_->flush();
}

}  // namespace tenon::run
