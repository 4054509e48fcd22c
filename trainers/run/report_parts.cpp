#include "trainers/run/report_parts.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "core/io/json.h"
#include "trainers/run/meters.h"
#include "trainers/run/progress.h"

namespace tenon::run {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::size_t kMaxSamples = 24;

// What a page can do without: null when it is missing or damaged.
Json optional_json(const fs::path& file) {
  std::error_code code;
  if (!fs::exists(file, code)) return nullptr;
  try {
    return io::read_json(file);
  } catch (const Error&) {
    return nullptr;
  }
}

std::string plain(const Json& j) {
  return j.is_string() ? j.get<std::string>() : j.dump();
}

std::string base64(const io::ByteBuffer& bytes) {
  static constexpr char digits[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t left = bytes.size() - i;
    const unsigned v = static_cast<unsigned>(bytes[i]) << 16 |
                       (left > 1 ? static_cast<unsigned>(bytes[i + 1]) << 8 : 0u) |
                       (left > 2 ? static_cast<unsigned>(bytes[i + 2]) : 0u);
    out += digits[v >> 18];
    out += digits[v >> 12 & 63];
    out += left > 1 ? digits[v >> 6 & 63] : '=';
    out += left > 2 ? digits[v & 63] : '=';
  }
  return out;
}

void flatten(const Json& j, const std::string& prefix, std::map<std::string, std::string>& out) {
  for (const auto& [name, value] : j.items()) {
    const std::string key = prefix.empty() ? name : prefix + "." + name;
    if (value.is_object())
      flatten(value, key, out);
    else
      out[key] = plain(value);
  }
}

}  // namespace

RunFiles load_run(const fs::path& folder) {
  RunFiles run;
  run.folder = folder.has_filename() ? folder : folder.parent_path();
  run.name = fs::absolute(run.folder).lexically_normal().filename().string();
  run.metrics = read_metrics(run.folder / "metrics.jsonl");
  run.status = optional_json(run.folder / "status.json");
  run.config = optional_json(run.folder / "config.json");
  run.environment = optional_json(run.folder / "env.json");
  std::error_code code;
  if (fs::exists(run.folder / "command.txt", code))
    run.command = std::string(io::as_text(io::read_file(run.folder / "command.txt")));
  return run;
}

std::string text_of(const Json& j, const char* key) {
  if (!j.is_object() || !j.contains(key)) return {};
  return j[key].is_string() ? j[key].get<std::string>() : j[key].dump();
}

std::vector<Point> points_of(const RunFiles& run, const std::string& kind, const std::string& key,
                             const std::string& name) {
  std::vector<Point> points;
  for (const Record& r : run.metrics.records)
    if (r.kind == kind && (name.empty() || r.text("name") == name))
      if (const auto v = r.number(key)) points.push_back({static_cast<double>(r.step), *v});
  return points;
}

// The last budget line of each session counts.
std::vector<std::pair<std::string, double>> budget_of(const RunFiles& run) {
  std::vector<double> total(kPhaseNames.size(), 0), current(kPhaseNames.size(), 0);
  const auto close_session = [&] {
    for (std::size_t i = 0; i < total.size(); ++i) total[i] += std::exchange(current[i], 0);
  };
  for (const Record& r : run.metrics.records) {
    if (r.kind == "resume") close_session();
    if (r.kind != "budget") continue;
    for (std::size_t i = 0; i < kPhaseNames.size(); ++i)
      current[i] = r.number(std::string(kPhaseNames[i]) + "_s").value_or(0);
  }
  close_session();
  std::vector<std::pair<std::string, double>> all;
  for (std::size_t i = 0; i < total.size(); ++i)
    if (total[i] > 0) all.emplace_back(kPhaseNames[i], total[i]);
  std::stable_sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return (a.first == "other") < (b.first == "other") ||
           ((a.first == "other") == (b.first == "other") && a.second > b.second);
  });
  return all;
}

std::string table_row(const std::vector<std::string>& cells, const char* tag,
                      std::size_t numbers_from) {
  std::string out = "<tr>";
  for (std::size_t i = 0; i < cells.size(); ++i)
    out += fmt::format("<{0}{1}>{2}</{0}>", tag, i >= numbers_from ? " class=\"n\"" : "",
                       html_escaped(cells[i]));
  return out + "</tr>\n";
}

// The newest grid large, then at most kMaxSamples over time, evenly spread, as many as fit.
std::string samples_part(const RunFiles& run, std::size_t budget) {
  std::vector<std::pair<std::int64_t, fs::path>> files;
  std::set<std::string> seen;
  std::error_code code;
  for (const Record& r : run.metrics.records)
    if (const std::string file = r.text("file");
        r.kind == "sample" && seen.insert(file).second && fs::path(file).extension() == ".png" &&
        fs::path(file).is_relative() && fs::exists(run.folder / file, code))
      files.emplace_back(r.step, run.folder / file);
  if (files.empty()) return {};
  std::string out = "<h2>Samples over time</h2>\n";
  const auto figure = [&](const auto& file, const char* cls) -> std::string {
    const io::ByteBuffer bytes = io::read_file(file.second);
    const std::string label = fmt::format("step {}", file.first);
    std::string html = fmt::format(
        "<figure{0}><img alt=\"samples, {1}\" src=\"data:image/png;base64,{2}\"><figcaption>{1}"
        "</figcaption></figure>\n",
        cls, label, base64(bytes));
    if (html.size() > budget) return {};
    budget -= html.size();
    return html;
  };
  out += figure(files.back(), " class=\"latest\"");
  const std::size_t n = std::min(files.size(), kMaxSamples);
  if (files.size() > 1) {
    out += "<div class=\"samples\">\n";
    for (std::size_t i = 0; i < n; ++i) out += figure(files[i * (files.size() - 1) / (n - 1)], "");
    out += "</div>\n";
  }
  return out;
}

std::string evaluations_part(const std::vector<RunFiles>& runs) {
  std::string rows;
  for (const RunFiles& run : runs)
    for (const Record& r : run.metrics.records) {
      if (r.kind != "eval") continue;
      std::string interval;
      if (const auto* v = r.find("ci95"))
        if (const auto* list = std::get_if<std::vector<double>>(v); list && list->size() == 2)
          interval = short_number((*list)[0]) + " to " + short_number((*list)[1]);
      const auto number = [&](const char* key) {
        const auto v = r.number(key);
        return v ? short_number(*v) : std::string("-");
      };
      std::vector<std::string> cells = {r.text("name"),
                                        r.text("weights"),
                                        fmt::format("{}", r.step),
                                        number("value"),
                                        interval.empty() ? "-" : interval,
                                        number("n"),
                                        number("seconds")};
      if (runs.size() > 1) cells.insert(cells.begin(), run.name);
      rows += table_row(cells, "td", runs.size() > 1 ? 3 : 2);
    }
  if (rows.empty()) return {};
  std::vector<std::string> head = {"metric",        "weights", "step",   "value",
                                   "95 % interval", "samples", "seconds"};
  if (runs.size() > 1) head.insert(head.begin(), "run");
  return "<h2>Evaluation</h2>\n<section class=\"card\"><table>" +
         table_row(head, "th", runs.size() > 1 ? 3 : 2) + rows + "</table></section>\n";
}

std::string time_part(const RunFiles& run) {
  const auto parts = budget_of(run);
  double total = 0;
  for (const auto& [name, seconds] : parts) total += seconds;
  if (total <= 0) return {};
  std::string bar, rows;
  double x = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& [name, seconds] = parts[i];
    const std::size_t color = name == "other" ? 6 : i % 6;
    const double width = 720 * seconds / total;
    // Two pixels of page between neighbours, so that they part without colour, too.
    bar += fmt::format(
        "<rect class=\"f{}\" x=\"{:.1f}\" y=\"0\" width=\"{:.1f}\" height=\"26\"><title>{} {:.1f} %"
        "</title></rect>",
        color, x, std::max(0.5, width - 2), name, 100 * seconds / total);
    rows += fmt::format(
        "<tr><td><svg viewBox=\"0 0 10 10\" style=\"width:10px;display:inline-block\"><rect "
        "class=\"f{}\" width=\"10\" height=\"10\"/></svg> {}</td><td class=\"n\">{}</td><td "
        "class=\"n\">{:.1f} %</td></tr>\n",
        color, name, format_eta(seconds), 100 * seconds / total);
    x += width;
  }
  return fmt::format(
      "<h2>Where the time went</h2>\n<section class=\"card\"><svg viewBox=\"0 0 720 26\" "
      "role=\"img\"><title>Time budget</title><desc>Share of {} by phase</desc>{}</svg>\n<table>{}"
      "{}</table></section>\n",
      format_eta(total), bar, table_row({"phase", "time", "share"}, "th", 1), rows);
}

std::string settings_part(const RunFiles& run) {
  const Json& env = run.environment;
  const std::string preset = text_of(env, "preset");
  std::string out = "<h2>Settings</h2>\n<section class=\"card\">";
  out += fmt::format("<h3>Changed against {}</h3>",
                     preset.empty() ? "the defaults" : "preset " + html_escaped(preset));
  const bool changes = env.is_object() && env.contains("changes") && env["changes"].is_array() &&
                       !env["changes"].empty();
  if (changes) {
    out +=
        "<table>" + table_row({"key", preset.empty() ? "default" : "preset", "this run", "set by"},
                              "th", kNoNumbers);
    for (const Json& c : env["changes"])
      out += table_row(
          {text_of(c, "key"), text_of(c, "preset"), text_of(c, "value"), text_of(c, "origin")},
          "td", kNoNumbers);
    out += "</table>";
  } else {
    out += "<p class=\"none\">Nothing.</p>";
  }
  if (run.config.is_object()) {
    std::map<std::string, std::string> flat;
    flatten(run.config, "", flat);
    out += "<details><summary>all settings</summary><table>";
    for (const auto& [key, value] : flat) out += table_row({key, value}, "td", kNoNumbers);
    out += "</table></details>";
  }
  out += "</section>\n";
  if (env.is_object()) {
    std::map<std::string, std::string> flat;
    flatten(env, "", flat);
    out += "<h2>Environment</h2>\n<section class=\"card\"><table>";
    for (const auto& [key, value] : flat)
      if (key != "changes" && key != "preset") out += table_row({key, value}, "td", kNoNumbers);
    out += "</table></section>\n";
  }
  if (!run.command.empty())
    out += "<h2>Command</h2>\n<section class=\"card\"><pre>" + html_escaped(run.command) +
           "</pre></section>\n";
  return out;
}

std::string differences_part(const std::vector<RunFiles>& runs) {
  std::vector<std::map<std::string, std::string>> flat(runs.size());
  std::set<std::string> keys;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (runs[i].config.is_object()) flatten(runs[i].config, "", flat[i]);
    for (const auto& [key, value] : flat[i]) keys.insert(key);
  }
  std::vector<std::string> head = {"key"};
  for (const RunFiles& run : runs) head.push_back(run.name);
  std::string rows;
  for (const std::string& key : keys) {
    std::vector<std::string> cells = {key};
    bool same = true;
    for (auto& f : flat) {
      cells.push_back(f.count(key) ? f[key] : "-");
      same = same && cells.back() == cells[1];
    }
    if (!same) rows += table_row(cells, "td", kNoNumbers);
  }
  if (rows.empty()) rows = "<tr><td>no differences</td></tr>";
  return "<h2>Settings that differ</h2>\n<section class=\"card\"><table>" +
         table_row(head, "th", kNoNumbers) + rows + "</table></section>\n";
}

}  // namespace tenon::run
