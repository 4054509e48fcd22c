#include "trainers/run/report.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/io/file.h"
#include "trainers/run/progress.h"
#include "trainers/run/report_parts.h"
#include "trainers/run/report_style.h"

namespace tenon::run {
namespace {

namespace fs = std::filesystem;

// About seven lines of a curve, its first, last and lowest among them.
std::string curve_table(const Chart& chart) {
  const auto& points = chart.series[0].points;
  std::set<std::size_t> rows;
  const std::size_t n = points.size();
  for (std::size_t i = 0; i < 6; ++i) rows.insert(i * (n - 1) / 5);
  std::size_t lowest = n;
  for (std::size_t i = 0; i < n; ++i)
    if (std::isfinite(points[i].y) && (lowest == n || points[i].y < points[lowest].y)) lowest = i;
  std::string out =
      "<table>" + table_row({"step", chart.unit.empty() ? "value" : chart.unit}, "th", 0);
  for (std::size_t i : rows)
    out += table_row({short_number(points[i].x), short_number(points[i].y)}, "td", 0);
  if (lowest != n && !rows.count(lowest))
    out += table_row({"lowest " + short_number(points[lowest].x), short_number(points[lowest].y)},
                     "td", 0);
  return out + "</table>";
}

std::string curve(const Chart& chart) {
  const std::string unit =
      chart.unit.empty() ? "" : " <small>" + html_escaped(chart.unit) + "</small>";
  return fmt::format(
      "<section class=\"card curve\"><h3>{}{}</h3>\n<div>{}</div>\n<div>{}</div></section>\n",
      html_escaped(chart.title), unit, chart_svg(chart), curve_table(chart));
}

Chart base_chart(const std::vector<RunFiles>& runs, const std::string& title,
                 const std::string& unit) {
  Chart chart{.title = title, .unit = unit, .series = {}, .restarts = {}};
  if (runs.size() == 1)
    for (auto step : runs[0].metrics.restarts)
      if (step > 0) chart.restarts.push_back(static_cast<double>(step));
  return chart;
}

struct Known {
  const char *key, *title, *unit;
  bool smooth, from_zero;
};
constexpr Known kKnown[] = {
    {"loss", "Loss", "", true, false},
    {"lr", "Learning rate", "", false, true},
    {"grad_norm", "Gradient norm", "", true, false},
    {"per_s", "Throughput", "samples/s", false, true},
    {"mem_peak_gib", "Memory, peak", "GiB", false, true},
};
// Shown elsewhere, or of no interest as curves.
const std::set<std::string> kUnplotted = {"samples", "epoch",   "step_ms", "data_ms",
                                          "mfu",     "skipped", "tokens"};

std::string curves(const std::vector<RunFiles>& runs, const ReportOptions& options) {
  std::string out = "<h2>Curves</h2>\n";
  if (runs.size() > 1) {
    out += "<ul class=\"key\">";
    for (std::size_t i = 0; i < runs.size(); ++i)
      out += fmt::format(
          "<li><svg viewBox=\"0 0 28 10\"><path class=\"line s{}\" d=\"M1 5H27\"/></svg>{}</li>",
          i % 6, html_escaped(runs[i].name));
    out += "</ul>\n";
  }
  const std::size_t before = out.size();
  const auto add = [&](Chart chart, const std::string& kind, const std::string& key,
                       const std::string& name) {
    for (const RunFiles& run : runs) {
      auto points = points_of(run, kind, key, name);
      if (!points.empty()) chart.series.push_back({run.name, std::move(points)});
    }
    if (!chart.series.empty()) out += curve(chart);
  };
  for (const Known& k : kKnown) {
    Chart chart = base_chart(runs, k.title, k.unit);
    chart.smooth = k.smooth;
    chart.from_zero = k.from_zero;
    add(std::move(chart), "train", k.key, "");
  }
  std::set<std::string> evaluations, more;
  for (const RunFiles& run : runs)
    for (const Record& r : run.metrics.records) {
      if (r.kind == "eval") evaluations.insert(r.text("name"));
      if (r.kind == "train")
        for (const auto& [key, value] : r.values)
          if (r.number(key) && !kUnplotted.count(key)) more.insert(key);
    }
  for (const Known& k : kKnown) more.erase(k.key);
  for (const std::string& name : evaluations) {
    Chart chart = base_chart(runs, name, "");
    chart.markers = true;
    if (name == options.paper_metric) {
      chart.reference = options.paper_value;
      chart.reference_name = "paper " + short_number(options.paper_value);
    }
    add(std::move(chart), "eval", "value", name);
  }
  // What a method measures of itself: code entropy, sparsity, accuracy, ...
  for (const std::string& key : more) {
    std::string title = key;
    std::replace(title.begin(), title.end(), '_', ' ');
    Chart chart = base_chart(runs, title, "");
    chart.smooth = true;
    add(std::move(chart), "train", key, "");
  }
  if (out.size() == before) out += "<p class=\"none\">No measurements yet.</p>\n";
  return out;
}

std::optional<Point> best_of(const RunFiles& run, const ReportOptions& options) {
  std::optional<Point> best;
  for (const Point& p : points_of(run, "eval", "value", options.paper_metric))
    if (std::isfinite(p.y) && (!best || (options.higher_is_better ? p.y > best->y : p.y < best->y)))
      best = p;
  return best;
}

std::string verdict(const RunFiles& run, const ReportOptions& options) {
  const std::string state = run.status.is_object() ? text_of(run.status, "state") : "unknown";
  const std::string step = text_of(run.status, "step"), total = text_of(run.status, "total");
  const std::string why = text_of(run.status, "error");
  std::string out =
      fmt::format("<p class=\"verdict {0}\"><span class=\"state\">{0}</span>", html_escaped(state));
  if (!step.empty()) out += fmt::format(" at step {} of {}", step, total);
  if (!options.paper_metric.empty()) {
    if (const auto best = best_of(run, options))
      out += fmt::format(" &middot; best {} {} at step {:g} (paper: {})",
                         html_escaped(options.paper_metric), short_number(best->y), best->x,
                         short_number(options.paper_value));
    else
      out += fmt::format(" &middot; no {} yet (paper: {})", html_escaped(options.paper_metric),
                         short_number(options.paper_value));
  }
  if (!why.empty()) out += " &middot; " + html_escaped(why);
  out += "</p>\n<dl class=\"tiles\">";
  const auto tile = [&](const char* name, const std::string& value) {
    out += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", name, html_escaped(value));
  };
  const auto loss = points_of(run, "train", "loss");
  const auto rate = points_of(run, "train", "per_s");
  const auto memory = points_of(run, "train", "mem_peak_gib");
  if (!loss.empty()) tile("loss, last line", short_number(loss.back().y));
  if (!rate.empty()) {
    std::vector<double> sorted;
    for (const Point& p : rate)
      if (std::isfinite(p.y)) sorted.push_back(p.y);
    std::sort(sorted.begin(), sorted.end());
    if (!sorted.empty()) tile("samples/s, median", short_number(sorted[sorted.size() / 2]));
  }
  if (!memory.empty()) tile("peak memory", short_number(memory.back().y) + " GiB");
  double seconds = 0;
  for (const auto& [name, s] : budget_of(run)) seconds += s;
  if (seconds > 0) tile("time", format_eta(seconds));
  if (!run.metrics.restarts.empty())
    tile("resumed", fmt::format("{} x", run.metrics.restarts.size()));
  if (const std::string c = text_of(run.status, "checkpoint"); !c.empty())
    tile("last checkpoint", c);
  return out + "</dl>\n";
}

}  // namespace

void write_report(const ReportOptions& options, const fs::path& file) {
  std::vector<RunFiles> runs;
  for (const fs::path& folder : options.runs) runs.push_back(load_run(folder));
  check(!runs.empty(), ErrorKind::Usage, "report: no run given");
  const bool single = runs.size() == 1;
  const std::string title = single ? runs[0].name : fmt::format("{} runs", runs.size());

  std::string head = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n<style>{1}</style>"
      "</head>\n<body><main>\n<h1>{0}</h1>\n",
      html_escaped(title), kReportStyle);
  for (const RunFiles& run : runs) {
    if (!single) head += "<h2>" + html_escaped(run.name) + "</h2>\n";
    head += verdict(run, options);
  }
  std::string tail = evaluations_part(runs);
  if (single)
    tail += time_part(runs[0]) + settings_part(runs[0]);
  else
    tail += differences_part(runs);
  tail += "</main></body></html>\n";
  const std::string middle = curves(runs, options);
  const std::size_t used = head.size() + middle.size() + tail.size();
  std::string pictures;
  // The pictures get what the limit leaves; nothing else grows with the length of a run.
  const std::size_t room = options.max_bytes > used ? options.max_bytes - used : 0;
  for (const RunFiles& run : runs) pictures += samples_part(run, room / runs.size());
  io::write_file_atomic(file, std::string_view(head + pictures + middle + tail));
}

}  // namespace tenon::run
