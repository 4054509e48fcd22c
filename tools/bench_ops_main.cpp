// tenon-bench-ops: times ops, each checked against its reference implementation first. Names of ops
// and shapes are those of tools/bench/ops_torch.py; docs/benchmarking.md explains the columns.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>

#include "autograd/engine.h"
#include "autograd/variable.h"
#include "core/base/version.h"
#include "core/config/command_line.h"
#include "core/config/program.h"
#include "core/io/file.h"
#include "core/simd/parallel.h"
#include "ops/pointwise/cast.h"
#include "tools/bench/op_cases.h"

namespace tenon {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::vector<std::string> filter;
  std::vector<std::string> dtypes = {"f32"}, modes = {"fwd", "bwd"};
  std::string implementation = "auto", json;
  double min_time = 0.3;
  int64_t threads = 0;
  bool list = false;
};

struct Timing {
  int64_t runs = 0;
  double median = 0, p20 = 0, p80 = 0;  // seconds
};

double seconds_now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Samples of at least 100 us each, until they fill min_time and are five or more.
Timing measure(const std::function<void()>& run, double min_time) {
  double once = 0;
  for (double start = seconds_now(), spent = 0; spent < min_time / 5;) {
    const double begin = seconds_now();
    run();
    once = seconds_now() - begin;
    spent = seconds_now() - start;
  }
  const int64_t inner = std::max<int64_t>(1, static_cast<int64_t>(1e-4 / std::max(once, 1e-9)));
  std::vector<double> samples;
  for (const double start = seconds_now();
       samples.size() < 5 || seconds_now() - start < min_time;) {
    const double begin = seconds_now();
    for (int64_t i = 0; i < inner; ++i) run();
    samples.push_back((seconds_now() - begin) / static_cast<double>(inner));
  }
  std::sort(samples.begin(), samples.end());
  const auto at = [&](double q) {
    return samples[static_cast<size_t>(q * static_cast<double>(samples.size() - 1) + 0.5)];
  };
  return {static_cast<int64_t>(samples.size()) * inner, at(0.5), at(0.2), at(0.8)};
}

// Bytes read and written a second by a copy that fits in no cache.
double copy_bandwidth(double min_time) {
  const int64_t bytes = int64_t{64} << 20, piece = int64_t{1} << 20;
  const Tensor from = Tensor::zeros({bytes}, DType::u8), to = Tensor::zeros({bytes}, DType::u8);
  const Timing t = measure(
      [&] {
        parallel_for(bytes / piece, 1, [&](int64_t begin, int64_t end) {
          std::memcpy(to.data<uint8_t>() + begin * piece, from.data<uint8_t>() + begin * piece,
                      static_cast<size_t>((end - begin) * piece));
        });
      },
      min_time);
  return 2.0 * static_cast<double>(bytes) / t.median;
}

// Runs forward (and, for mode bwd, prepares what backward needs): a function to time, and to call
// for its result.
std::function<TensorVec()> prepare(const OpCase& c, const TensorVec& in, bool backward) {
  if (!backward)
    return [&c, in] {
      const NoGrad off;
      return TensorVec{c.forward(in)};
    };
  std::vector<Tensor> leaves;
  for (const Tensor& t : in)
    if (is_float(t.dtype())) set_requires_grad(leaves.emplace_back(t));
  const Tensor out = c.forward(in);
  Tensor upstream = random_floats(out.sizes(), out.dtype(), 99);
  if (out.is_channels_last()) upstream = channels_last(upstream);
  return [leaves, out, upstream] {
    const std::vector<Tensor> grads =
        grad(std::span(&out, 1), std::span(&upstream, 1), leaves, {.keep_graph = true});
    return TensorVec(grads.begin(), grads.end());
  };
}

// The op that this mode times, of those that implementation names are looked up for.
const std::string& timed_op(const OpCase& c, bool backward) {
  return c.ops[backward && c.ops.size() > 1 ? 1 : 0];
}

// Names of the implementations that take this call, best first; only the first unless `all`.
std::vector<std::string> accepting(const std::string& op, const std::function<TensorVec()>& run,
                                   bool all) {
  std::vector<std::string> names;
  for (const Implementation& i : find_op(op).implementations[static_cast<int>(DeviceKind::CPU)]) {
    if (!names.empty() && (!all || std::string_view(i.name) == "ref")) break;
    force_implementation(op, i.name);
    try {
      run();
      names.emplace_back(i.name);
    } catch (const Error& refused) {
      if (refused.kind() != ErrorKind::Usage) throw;
    }
  }
  force_implementation(op, "");
  return names;
}

// The largest difference from the reference, relative to the largest value of each result.
double error_against_reference(const OpCase& c, DType dtype, bool backward,
                               const std::string& implementation) {
  const int64_t rows = std::min(c.rows, c.checked_rows);
  const TensorVec got = prepare(c, c.inputs(rows, dtype), backward)();
  for (const std::string& op : c.ops) force_implementation(op, "ref");
  const TensorVec want = prepare(c, c.inputs(rows, dtype), backward)();
  for (const std::string& op : c.ops) force_implementation(op, "");
  force_implementation(timed_op(c, backward), implementation);
  double worst = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const Difference d = difference(got[i], want[i]);
    worst = std::max(worst, d.nonfinite ? INFINITY : d.relative());
  }
  return worst;
}

Json timed_row(const OpCase& c, DType dtype, bool backward, const std::string& implementation,
               const std::function<TensorVec()>& run, double bandwidth, double min_time) {
  const Timing t = measure([&] { run(); }, min_time);
  const double elements = backward ? c.backward_elements : c.elements;
  const double bytes = elements * static_cast<double>(dtype_size(dtype));
  const double flops = backward ? c.backward_flops : c.flops;
  return {{"op", c.op},
          {"shape", c.shape},
          {"dtype", std::string(dtype_name(dtype))},
          {"mode", backward ? "bwd" : "fwd"},
          {"impl", implementation},
          {"n", t.runs},
          {"median_us", t.median * 1e6},
          {"p20_us", t.p20 * 1e6},
          {"p80_us", t.p80 * 1e6},
          {"gb_s", bytes / t.median / 1e9},
          {"copy_percent", 100 * bytes / t.median / bandwidth},
          {"gflop_s", flops / t.median / 1e9}};
}

void print_row(const Json& row) {
  const auto text = [&](const char* key) { return row.at(key).get<std::string>(); };
  const auto number = [&](const char* key) { return row.value(key, 0.0); };
  fmt::print("{:<16} | {:<22} | {:<4} | {:<3} | {:<7} | ", text("op"), text("shape"), text("dtype"),
             text("mode"), text("impl"));
  if (!row.at("ok").get<bool>()) {
    fmt::print("WRONG: differs from the reference by {:.1e}\n", number("error"));
    return;
  }
  fmt::print(
      "{:>6} | {:>10.1f} us | {:.1f}..{:.1f} | {:>6.1f} GB/s | {:>4.0f} % | {:>6.1f} GFLOP/s"
      " | ok\n",
      row.at("n").get<int64_t>(), number("median_us"), number("p20_us"), number("p80_us"),
      number("gb_s"), number("copy_percent"), number("gflop_s"));
}

// The rows of one case in one mode: one a name in `implementation` ("auto" = the first choice).
std::vector<Json> bench(const OpCase& c, DType dtype, bool backward, const Options& options,
                        double bandwidth) {
  const double tolerance = dtype == DType::f32 ? 1e-4 : 2e-2;
  const std::string& op = timed_op(c, backward);
  const bool choose = options.implementation == "auto";
  const auto run = prepare(c, c.inputs(c.rows, dtype), backward);
  std::vector<std::string> names = {options.implementation};
  if (choose || options.implementation == "all") names = accepting(op, run, !choose);

  std::vector<Json> rows;
  for (const std::string& name : names) {
    if (!choose) force_implementation(op, name);  // while timing a choice, nothing is forced
    const double error = error_against_reference(c, dtype, backward, choose ? "" : name);
    Json row = {{"op", c.op},
                {"shape", c.shape},
                {"dtype", std::string(dtype_name(dtype))},
                {"mode", backward ? "bwd" : "fwd"},
                {"impl", name}};
    if (error <= tolerance)
      row = timed_row(c, dtype, backward, name, run, bandwidth, options.min_time);
    row["error"] = std::isfinite(error) ? error : -1.0;
    row["ok"] = error <= tolerance;  // a wrong result has no time
    print_row(row);
    rows.push_back(row);
    force_implementation(op, "");
  }
  return rows;
}

bool matches(const OpCase& c, const std::vector<std::string>& filter) {
  const std::string name = c.op + " " + c.shape;
  return filter.empty() || std::any_of(filter.begin(), filter.end(), [&](const std::string& part) {
           return name.find(part) != std::string::npos;
         });
}

void describe(config::Table& table, Options& o) {
  table.group("what to time");
  table.add(o.filter, {.flag = "filter",
                       .meta = "TEXT,...",
                       .help = "only cases whose op and shape contain one of these texts",
                       .common = true});
  table.add(o.dtypes, {.flag = "dtype",
                       .meta = "TYPE,...",
                       .help = "element types",
                       .choices = {"f32", "bf16"},
                       .common = true});
  table.add(o.modes, {.flag = "mode",
                      .meta = "MODE,...",
                      .help = "forward and backward pass",
                      .choices = {"fwd", "bwd"},
                      .common = true});
  table.add(o.implementation, {.flag = "impl",
                               .meta = "NAME",
                               .help = "auto (the first that accepts), all, or the name of one",
                               .common = true});
  table.add(o.list, {.flag = "list", .help = "print the cases and stop", .common = true});
  table.group("how");
  table.add(o.min_time, {.flag = "min-time",
                         .meta = "TIME",
                         .help = "time spent on each row",
                         .min = 0,
                         .unit = config::Unit::Seconds,
                         .common = true});
  table.add(
      o.threads,
      {.flag = "threads", .meta = "N", .help = "0 = all physical cores", .min = 0, .common = true});
  table.add(o.json, {.flag = "json",
                     .meta = "FILE",
                     .help = "write the rows there, too",
                     .path = true,
                     .common = true});
}

int run_program(int argc, char** argv) {
  Options options;
  config::Table table;
  describe(table, options);
  config::Program program{.name = "tenon-bench-ops",
                          .summary = "times ops against the copy bandwidth of the machine",
                          .examples = {"tenon-bench-ops --filter conv2d,matmul --mode fwd",
                                       "tenon-bench-ops --dtype f32,bf16 --json rows.json"},
                          .version = version_text()};
  config::CommandLine line(program, table, {argv + 1, argv + argc}, config::process_environment());
  if (const std::string text = line.information(); !text.empty()) {
    fmt::print("{}", text);
    return 0;
  }
  line.resolve();
  if (options.threads > 0) set_threads(static_cast<int>(options.threads));

  std::vector<OpCase> cases = op_cases();
  std::erase_if(cases, [&](const OpCase& c) { return !matches(c, options.filter); });
  check(!cases.empty(), ErrorKind::Usage, "--filter: no case matches; --list shows them all");
  if (options.list) {
    for (const OpCase& c : cases) fmt::print("{} {}\n", c.op, c.shape);
    return 0;
  }
  const double bandwidth = copy_bandwidth(options.min_time);
  fmt::print("{}, {} threads, copy {:.1f} GB/s\n", version_line(), threads(), bandwidth / 1e9);
  fmt::print(
      "op | shape | dtype | mode | impl | n | median | p20..p80 | GB/s | %copy-bw | GFLOP/s"
      " | ok\n");
  Json rows = Json::array();
  bool all_ok = true;
  for (const OpCase& c : cases)
    for (const std::string& dtype : options.dtypes)
      for (const std::string& mode : options.modes) {
        const bool backward = mode == "bwd";
        if (backward && c.backward_elements == 0) continue;
        if (c.op == "adam" && dtype != "f32") continue;  // master weights
        for (Json& row :
             bench(c, dtype == "bf16" ? DType::bf16 : DType::f32, backward, options, bandwidth)) {
          all_ok = all_ok && row["ok"].get<bool>();
          rows.push_back(std::move(row));
        }
      }
  const Json result = {{"program", version_line()},
                       {"threads", threads()},
                       {"copy_gb_s", bandwidth / 1e9},
                       {"rows", rows}};
  if (!options.json.empty()) io::write_file_atomic(options.json, result.dump(1) + "\n");
  return all_ok ? 0 : exit_code(ErrorKind::Internal);
}

}  // namespace
}  // namespace tenon

int main(int argc, char** argv) {
  tenon::use_passive_waiting(argv);
  return tenon::config::program_main([&] { return tenon::run_program(argc, argv); });
}
