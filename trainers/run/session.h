// One call of a training program, from the words of the command line to the finished run folder.
//
//   int main(int argc, char** argv) {
//     return config::program_main([&] {
//       QacConfig c;                                   // holds a run::Common common
//       config::Table table;
//       describe(table, c);   // run::describe(table, c.common) and its own lines
//       auto plan = run::plan(qac_program(), table, c.common, "qac", argc, argv);
//       if (!plan) return 0;  // --help, --print-config, ...
//       ... build model and data, check everything; --dry-run returns here ...
//       run::StopRequest stop(c.common.train.max_time);
//       run::Session session(*plan, c.common, "qac-cifar10-b512-f32", total_steps);
//       ... loop: session.meters(), session.step_done(line), session.record(...) ...
//       session.finish("done");
//       return 0;
//     });
//   }
#pragma once

#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/config/command_line.h"
#include "core/io/image.h"
#include "trainers/run/common.h"
#include "trainers/run/folder.h"
#include "trainers/run/meters.h"
#include "trainers/run/metrics.h"
#include "trainers/run/progress.h"
#include "trainers/run/resume.h"
#include "trainers/run/tensorboard.h"

namespace tenon::run {

struct Plan {
  std::string task;
  config::CommandLine command;
  std::optional<Resume> resume;
};

// Reads the command line into the table. Prints what --help, --help-all, --version, --list-presets
// or --print-config ask for (on stdout) and returns nothing. Finds the run to resume and refuses
// settings that differ from it. Warnings go to stderr.
std::optional<Plan> plan(const config::Program& program, config::Table& table, Common& common,
                         const std::string& task, int argc, const char* const* argv);

class Session {
 public:
  // `run_name`: task first, e.g. "qac-cifar10-b512-f32"; --name is added. Opens the run folder (the
  // resumed one, --run-dir, or a new one) and writes config.json, command.txt, env.json, inputs/,
  // and the first line of metrics.jsonl.
  Session(const Plan& plan, const Common& common, const std::string& run_name,
          std::int64_t total_steps, const std::map<std::string, std::string>& environment = {});
  // A session that was not finished is marked as failed.
  ~Session();

  const RunFolder& folder() const { return folder_; }
  Log& log() { return *log_; }
  Meters& meters() { return meters_; }

  // A line of metrics.jsonl; numbers of train and eval lines also go to the TensorBoard files.
  void record(Record record);

  // Every step: `line` has what the trainer knows (step, loss of this step, lr, ...); at a multiple
  // of --log-every the window of the meters fills in loss, rates and shares, and the permanent
  // line, the metrics line and status.json are written. Returns whether it was such a step. `more`:
  // further fields of the metrics line.
  bool step_done(ProgressLine line, const Record& more = Record());

  // samples/step-00012000.png, a `sample` line, a TensorBoard picture.
  void sample(std::int64_t step, const io::Image& grid, std::map<std::string, std::string> text);

  // A `checkpoint` line and the name in status.json.
  void checkpoint_saved(std::int64_t step, const std::string& name, double seconds);

  // report.html from the files of the folder. A failure is a warning.
  void report();

  // state: done, stopped or failed. Writes the last lines, status and report.
  void finish(const std::string& state, const std::string& why = {}, int code = 0);

 private:
  std::optional<double> seconds_left(std::int64_t step) const;
  void write_budget(std::int64_t step);
  void write_environment(const std::map<std::string, std::string>& more) const;

  RunFolder folder_;
  const Plan& plan_;
  const Common& common_;
  std::unique_ptr<Log> log_;
  std::unique_ptr<MetricsWriter> metrics_;
  std::unique_ptr<EventWriter> events_;
  Meters meters_;
  Status status_;
  bool finished_ = false;
};

}  // namespace tenon::run
