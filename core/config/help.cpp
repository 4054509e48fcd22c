#include "core/config/command_line.h"

namespace tenon::config {
namespace {

constexpr std::size_t kColumn = 30;

// A line with its text at kColumn, wrapped at 100.
std::string line(const std::string& left, const std::string& right) {
  std::string out = "  " + left;
  if (out.size() + 2 > kColumn)
    out += "\n" + std::string(kColumn, ' ');
  else
    out.resize(kColumn, ' ');
  std::size_t width = kColumn;
  std::size_t begin = 0;
  while (begin < right.size()) {
    std::size_t end = right.find(' ', begin);
    if (end == right.npos) end = right.size();
    if (width + (end - begin) > 99 && width > kColumn) {
      out += "\n" + std::string(kColumn, ' ');
      width = kColumn;
    }
    if (width > kColumn) {
      out += ' ';
      ++width;
    }
    out.append(right, begin, end - begin);
    width += end - begin;
    begin = end + 1;
  }
  return out + "\n";
}

std::string describe(const Entry& e, bool all) {
  std::string text = e.spec.help;
  if (!e.spec.choices.empty()) text += fmt::format(" ({})", fmt::join(e.spec.choices, ", "));
  const std::string value = typed_value(e);
  if (!value.empty() && !(e.is_flag() && value == "false") && value != "none")
    text += fmt::format(" [{}]", value);
  if (all && !e.spec.key.empty() && !e.spec.flag.empty()) text += fmt::format(" <{}>", e.spec.key);
  return text;
}

std::string left_side(const Entry& e) {
  if (e.spec.flag.empty()) return "--set " + e.spec.key + "=" + e.spec.meta;
  const std::string letter = e.spec.letter ? fmt::format("-{}, ", e.spec.letter) : "";
  if (e.is_flag()) return letter + (typed_value(e) == "true" ? "--no-" : "--") + e.spec.flag;
  const std::string value = e.spec.bare.empty() ? e.spec.meta : "[" + e.spec.meta + "]";
  return letter + "--" + e.spec.flag + " " + value;
}

}  // namespace

std::string help_text(const Program& program, const Table& table, bool all) {
  std::string out =
      fmt::format("{}: {}\n\nusage: {} [flags]{}{}\n", program.name, program.summary, program.name,
                  table.positional_words().meta.empty() ? "" : " ", table.positional_words().meta);
  std::string group;
  const auto heading = [&](const std::string& name) {
    if (name == group) return;
    group = name;
    out += "\n" + name + ":\n";
  };
  if (!all) heading("common flags");
  if (all) heading("configuration");
  if (!program.presets.empty()) {
    std::string text = "start from a named set of values; --list-presets shows them";
    if (!program.default_preset.empty()) text += " [" + program.default_preset + "]";
    out += line("--preset NAME", text);
  }
  if (all) {
    out += line("--config FILE", "JSON file with values; may be given several times");
    out += line("--set KEY=VALUE", "one value by its key");
    out += line("--print-config", "print the resulting configuration with origins, and stop");
    if (!program.presets.empty()) out += line("--list-presets", "print the presets, and stop");
    out += line("-h, --help", "the common flags");
    out += line("--help-all", "every flag and configuration key <like.this>");
    out += line("--version", "version, build and libraries");
  }
  for (const Entry& e : table.entries()) {
    if (!all && !e.spec.common) continue;
    if (all) heading(e.group);
    out += line(left_side(e), describe(e, all));
  }
  if (!program.examples.empty()) {
    out += program.examples.size() == 1 ? "\nexample:\n" : "\nexamples:\n";
    for (const std::string& example : program.examples) out += "  " + example + "\n";
  }
  if (!all) out += "\n--help-all shows every flag and configuration key.\n";
  return out;
}

std::string presets_text(const Program& program) {
  std::string out;
  for (const Preset& p : program.presets) out += line(p.name, p.help);
  return out;
}

}  // namespace tenon::config
