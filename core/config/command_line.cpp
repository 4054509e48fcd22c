#include "core/config/command_line.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>

#include "core/base/error.h"
#include "core/io/json.h"

extern char** environ;

namespace tenon::config {
namespace {

using io::Json;
namespace fs = std::filesystem;

// Variables that the engine itself reads; the rest of TENON_* are flags or mistakes.
constexpr const char* kEngineVariables[] = {
    "TENON_RUNS",   "TENON_CACHE",   "TENON_LOG",         "TENON_TRACE",  "TENON_IMPL",
    "TENON_TARGET", "TENON_GOLDENS", "TENON_SHARED_DATA", "TENON_DEVICE", "TENON_THREADS"};

// Calls visit(key, value, pointer) for every leaf; sections are objects.
void walk(const Json& object, const std::string& prefix, const std::string& pointer,
          const std::function<void(const std::string&, const Json&, const std::string&)>& visit) {
  for (const auto& [name, value] : object.items()) {
    const std::string key = prefix.empty() ? name : prefix + "." + name;
    const std::string at = pointer + "/" + name;
    if (value.is_object())
      walk(value, key, at, visit);
    else
      visit(key, value, at);
  }
}

// A relative path in a file means a file beside that file, where there is one.
Json resolve_path(const Entry& e, const Json& value, const fs::path& file) {
  if (!e.spec.path || !value.is_string()) return value;
  const fs::path path = value.get<std::string>();
  const fs::path folder = file.parent_path();
  std::error_code code;
  if (path.empty() || path.is_absolute() || folder.empty() || !fs::exists(folder / path, code))
    return value;
  return (folder / path).lexically_normal().string();
}

std::string shell_quoted(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_not_of(
                                          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                          "0123456789_-+=./:,@%") == word.npos;
  if (plain) return word;
  std::string out = "'";
  for (char c : word) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

}  // namespace

std::vector<std::string> process_environment() {
  std::vector<std::string> all;
  for (char** e = environ; e && *e; ++e) all.emplace_back(*e);
  return all;
}

CommandLine::CommandLine(Program program, Table& table, std::vector<std::string> words,
                         std::vector<std::string> environment)
    : program_(std::move(program)), table_(table), words_(std::move(words)) {
  read_environment(environment);
  // Help must be had whatever else is wrong with the line.
  for (const std::string& word : words_) {
    if (word == "--") break;
    if (word == "--help" || word == "-h") information_ = help_text(program_, table_, false);
    if (word == "--help-all") information_ = help_text(program_, table_, true);
    if (word == "--version") information_ = program_.version;
    if (word == "--list-presets") information_ = presets_text(program_);
    if (!information_.empty()) return;
  }
  Tokens tokens = tokenize(table_, words_);
  for (Token& token : tokens.flags) {
    if (token.flag == "preset")
      asked_preset_ = token.value;
    else if (token.flag == "config")
      files_.push_back(token.value);
    else if (token.flag == "print-config")
      print_config_ = token.value == "true";
    else
      typed_.push_back({std::move(token.flag), std::move(token.value)});
  }
  const Table::Positional& operands = table_.positional_words();
  if (!operands.words && !tokens.positional.empty())
    throw_hint(ErrorKind::Usage, "flags start with two dashes; --help shows them",
               "'{}' is not a flag, and no file or word is expected here", tokens.positional[0]);
  if (operands.words) {
    const std::size_t n = tokens.positional.size();
    if (n < operands.min || n > operands.max)
      throw_hint(ErrorKind::Usage,
                 fmt::format("usage: {} [flags] {}", program_.name, operands.meta),
                 "{} words given that are not flags, want {}", n, operands.meta);
    *operands.words = std::move(tokens.positional);
  }
}

std::string CommandLine::information() const {
  return information_;
}

void CommandLine::read_environment(const std::vector<std::string>& environment) {
  std::vector<std::string> known(std::begin(kEngineVariables), std::end(kEngineVariables));
  known.push_back("TENON_PRESET");
  for (const Entry& e : table_.entries()) known.push_back(e.variable());
  for (const std::string& variable : environment) {
    if (variable.rfind("TENON_", 0) != 0) continue;
    const std::size_t equals = variable.find('=');
    const std::string name = variable.substr(0, equals), value = variable.substr(equals + 1);
    if (name == "TENON_SET") {
      set_variable_ = value;
    } else if (name == "TENON_PRESET") {
      asked_preset_ = value;
    } else if (std::find(known.begin(), known.end(), name) == known.end()) {
      const std::string near = nearest_key(name, known);
      warnings_.push_back(
          fmt::format("unknown environment variable {}{}", name,
                      near.empty() ? "" : fmt::format(" (did you mean {}?)", near)));
    }
    for (const Entry& e : table_.entries())
      if (e.variable() == name) variables_.push_back({name, {e.spec.flag, value}});
  }
}

Error CommandLine::unknown_key(const std::string& where, const std::string& key) const {
  const std::string near = nearest_key(key, table_.keys());
  if (!near.empty())
    return Error(ErrorKind::Usage,
                 fmt::format("{}unknown key {} (did you mean {}?)", where, key, near));
  return Error(ErrorKind::Usage, fmt::format("{}unknown key {}", where, key),
               "--help-all lists all keys");
}

void CommandLine::apply_preset(const std::string& name, int depth) {
  TENON_ASSERT(depth < 16);
  const auto found = std::find_if(program_.presets.begin(), program_.presets.end(),
                                  [&](const Preset& p) { return p.name == name; });
  if (found == program_.presets.end()) {
    std::vector<std::string> names;
    for (const Preset& p : program_.presets) names.push_back(p.name);
    const std::string near = nearest_key(name, names);
    throw_hint(ErrorKind::Usage, fmt::format("presets: {}", fmt::join(names, ", ")),
               "--preset: no preset '{}'{}", name,
               near.empty() ? "" : fmt::format(" (did you mean {}?)", near));
  }
  if (!found->base.empty()) apply_preset(found->base, depth + 1);
  const std::string origin = "preset " + name;
  for (const auto& [key, value] : found->values) {
    Entry* entry = table_.find_key(key);
    if (!entry) throw unknown_key(origin + ": ", key);
    table_.set_text(*entry, value, origin + ": " + key, origin);
  }
}

void CommandLine::apply_file(const std::string& file, bool base) {
  io::JsonPositions positions;
  const Json json = io::read_json(file, base ? ErrorKind::Checkpoint : ErrorKind::Usage, &positions,
                                  std::uint64_t{16} << 20);
  check(json.is_object(), ErrorKind::Usage, "{}: a configuration is an object {{ }}", file);
  walk(json, "", "", [&](const std::string& key, const Json& value, const std::string& pointer) {
    if (key == "preset") return;  // already applied
    const auto position = positions.find(pointer);
    const std::string at =
        position == positions.end() ? file : fmt::format("{}:{}", file, position->second.line);
    Entry* entry = table_.find_key(key);
    if (!entry) throw unknown_key(at + ": ", key);
    table_.set_json(*entry, resolve_path(*entry, value, file), at + ": " + key, at);
  });
}

void CommandLine::apply_assignment(const std::string& text, const std::string& where) {
  const std::size_t equals = text.find('=');
  if (equals == text.npos || equals == 0)
    throw_hint(ErrorKind::Usage, "for example --set optim.lr=1e-3", "{}: '{}' is not KEY=VALUE",
               where, text);
  const std::string key = text.substr(0, equals);
  Entry* entry = table_.find_key(key);
  if (!entry) throw unknown_key(where + ": ", key);
  table_.set_text(*entry, text.substr(equals + 1), where + " " + key, where);
}

// A configuration file may name the preset it builds on.
std::string CommandLine::preset_of_files() const {
  std::string name;
  for (const std::string& file : files_) {
    const Json json = io::read_json(file, ErrorKind::Usage, nullptr, std::uint64_t{16} << 20);
    if (!json.is_object() || !json.contains("preset")) continue;
    check(json["preset"].is_string(), ErrorKind::Usage, "{}: preset: want a string in quotes",
          file);
    name = json["preset"].get<std::string>();
  }
  return name;
}

void CommandLine::resolve(const std::string& base) {
  table_.reset();
  const std::string asked = asked_preset_.empty() ? preset_of_files() : asked_preset_;
  std::string saved;
  if (!base.empty()) {
    const Json json = io::read_json(base, ErrorKind::Checkpoint);
    if (json.is_object() && json.contains("preset") && json["preset"].is_string())
      saved = json["preset"].get<std::string>();
    apply_file(base, true);
  }
  // The saved configuration holds its preset's values already; another preset is a change.
  preset_ = !asked.empty() ? asked : base.empty() ? program_.default_preset : saved;
  if (!preset_.empty() && (base.empty() || (!asked.empty() && asked != saved)))
    apply_preset(preset_);
  for (Entry& e : table_.entries()) e.preset = json_value(e);

  for (const std::string& file : files_) apply_file(file, false);
  for (std::size_t begin = 0; begin < set_variable_.size();) {
    const std::size_t end = std::min(set_variable_.find(';', begin), set_variable_.size());
    if (end > begin) apply_assignment(set_variable_.substr(begin, end - begin), "TENON_SET");
    begin = end + 1;
  }
  for (const auto& [name, typed] : variables_)
    table_.set_text(*table_.find_flag(typed.flag), typed.value, name, name);
  for (const Typed& typed : typed_) {
    if (typed.flag == "set")
      apply_assignment(typed.value, "--set");
    else
      table_.set_text(*table_.find_flag(typed.flag), typed.value, "--" + typed.flag,
                      "--" + typed.flag);
  }
}

std::string CommandLine::printed_config(bool origins) const {
  // Sections in the order in which the table first names them.
  struct Line {
    std::string name, value, origin;
  };
  std::vector<std::pair<std::string, std::vector<Line>>> sections{{"", {}}};
  if (!preset_.empty()) sections[0].second.push_back({"preset", Json(preset_).dump(), ""});
  for (const Entry& e : table_.entries()) {
    const std::string& key = e.spec.key;
    if (key.empty()) continue;
    const std::size_t dot = key.find('.');
    TENON_ASSERT(key.find('.', dot == key.npos ? dot : dot + 1) == key.npos);
    const std::string section = dot == key.npos ? "" : key.substr(0, dot);
    auto at = std::find_if(sections.begin(), sections.end(),
                           [&](const auto& s) { return s.first == section; });
    if (at == sections.end()) at = sections.insert(at, {section, {}});
    std::string value = json_value(e);
    std::error_code code;
    const Json json = Json::parse(value);
    // A saved path must mean the same file wherever it is read again.
    if (e.spec.path && json.is_string() && json != "" && fs::exists(json.get<std::string>(), code))
      value = Json(fs::absolute(json.get<std::string>()).lexically_normal().string()).dump();
    at->second.push_back({dot == key.npos ? key : key.substr(dot + 1), value, e.origin});
  }
  std::string out = "{\n";
  const auto print = [&](const std::vector<Line>& lines, const char* indent, bool more) {
    for (std::size_t i = 0; i < lines.size(); ++i) {
      const bool comma = more || i + 1 < lines.size();
      std::string text =
          fmt::format("{}\"{}\": {}{}", indent, lines[i].name, lines[i].value, comma ? "," : "");
      if (origins && !lines[i].origin.empty()) {
        text.resize(std::max<std::size_t>(text.size(), 39), ' ');
        text += "  // " + lines[i].origin;
      }
      out += text + "\n";
    }
  };
  print(sections[0].second, "  ", sections.size() > 1);
  for (std::size_t i = 1; i < sections.size(); ++i) {
    out += fmt::format("  \"{}\": {{\n", sections[i].first);
    print(sections[i].second, "    ", false);
    out += i + 1 < sections.size() ? "  },\n" : "  }\n";
  }
  return out + "}\n";
}

std::vector<Difference> CommandLine::changes() const {
  std::vector<Difference> all;
  for (const Entry& e : table_.entries()) {
    if (e.spec.key.empty() || json_value(e) == e.preset) continue;
    all.push_back({e.spec.key, e.preset, json_value(e), e.origin, e.spec.resumable});
  }
  return all;
}

std::vector<Difference> CommandLine::compare(const std::string& saved) const {
  std::vector<Difference> all;
  walk(io::read_json(saved, ErrorKind::Checkpoint), "", "",
       [&](const std::string& key, const Json& value, const std::string&) {
         const Entry* e = table_.find_key(key);
         if (!e) return;
         const Json now = Json::parse(json_value(*e));
         const Json before = resolve_path(*e, value, saved);
         const auto same_file = [&] {
           std::error_code code;
           return e->spec.path && now.is_string() && before.is_string() &&
                  fs::equivalent(now.get<std::string>(), before.get<std::string>(), code);
         };
         if (now == before || same_file()) return;
         all.push_back({key, before.dump(), now.dump(), e->origin, e->spec.resumable});
       });
  return all;
}

std::string CommandLine::text() const {
  std::string out = program_.name;
  for (const std::string& word : words_) out += " " + shell_quoted(word);
  return out;
}

std::string difference_table(const std::vector<Difference>& differences, const std::string& before,
                             const std::string& after) {
  std::size_t key = 3, left = before.size();
  for (const Difference& d : differences) {
    key = std::max(key, d.key.size());
    left = std::max(left, d.before.size());
  }
  std::string out = fmt::format("  {:<{}}  {:<{}}  {}\n", "key", key, before, left, after);
  for (const Difference& d : differences)
    out +=
        fmt::format("  {:<{}}  {:<{}}  {}  ({})\n", d.key, key, d.before, left, d.after, d.origin);
  return out;
}

}  // namespace tenon::config
