// The only file that knows CLI11. It is used as the tokenizer: which word is a flag, a value, a
// `--no-x` pair or an operand. Values, their checks and their order are not its business: CLI11
// converts each option by itself after the whole line is read, so "--set and flags in the order
// typed" cannot be said with it, its messages name no nearest flag, and its exit codes (104 to 114)
// are not ours. The versions 2.1 and 2.4 agree in what is used here.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <algorithm>
#include <map>

#include "core/base/error.h"
#include "core/config/command_line.h"

namespace tenon::config {
namespace {

constexpr const char* kSwitches[] = {"help", "help-all", "version", "list-presets", "print-config"};
constexpr const char* kControls[] = {"preset", "config", "set"};

bool is_number(const std::string& word) {
  try {
    parse_number(word);
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::vector<std::string> known_flags(const Table& table) {
  std::vector<std::string> names;
  for (const Entry& e : table.entries()) {
    if (e.spec.flag.empty()) continue;
    names.push_back("--" + e.spec.flag);
    if (e.is_flag()) names.push_back("--no-" + e.spec.flag);
  }
  for (const char* name : kSwitches) names.push_back(std::string("--") + name);
  for (const char* name : kControls) names.push_back(std::string("--") + name);
  return names;
}

[[noreturn]] void unknown_flag(const Table& table, const std::string& word) {
  const std::string flag = word.substr(0, word.find('='));
  const std::string near = nearest_key(flag, known_flags(table));
  const bool is_key = flag.size() > 2 && [&] {
    const auto keys = table.keys();
    return std::find(keys.begin(), keys.end(), flag.substr(2)) != keys.end();
  }();
  if (is_key)
    throw_hint(ErrorKind::Usage, fmt::format("--set {}=VALUE", flag.substr(2)),
               "unknown flag {}: it is a configuration key", flag);
  if (!near.empty())
    throw_error(ErrorKind::Usage, "unknown flag {} (did you mean {}?)", flag, near);
  throw_hint(ErrorKind::Usage, "--help-all lists all flags", "unknown flag {}", flag);
}

}  // namespace

Tokens tokenize(const Table& table, const std::vector<std::string>& words) {
  CLI::App app;
  app.set_help_flag();  // ours has --help-all beside it
  app.allow_extras();
  app.prefix_command(false);
  std::map<const CLI::Option*, std::string> names;

  const auto add_switch = [&](const std::string& spelling, const std::string& name) {
    auto* option = app.add_flag(spelling);
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    names[option] = name;
  };
  const auto add_value = [&](const std::string& spelling, const std::string& name) {
    auto* option = app.add_option(spelling);
    option->expected(1)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
    names[option] = name;
  };
  for (const char* name : kSwitches)
    add_switch((std::string(name) == "help" ? "-h,--" : "--") + std::string(name), name);
  for (const char* name : kControls) add_value(std::string("--") + name, name);
  for (const Entry& e : table.entries()) {
    if (e.spec.flag.empty()) continue;
    const std::string letter = e.spec.letter ? fmt::format("-{},", e.spec.letter) : "";
    if (e.is_flag())
      add_switch(fmt::format("{0}--{1},!--no-{1}", letter, e.spec.flag), e.spec.flag);
    else
      add_value(letter + "--" + e.spec.flag, e.spec.flag);
  }

  // CLI11 reads from the back. A flag that may stand alone gets its value here, so that it does not
  // eat the word behind it. What follows "--" is no flag, whatever it looks like.
  std::vector<std::string> reversed;
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string word = words[i];
    if (word == "--") break;
    if (word.rfind("--", 0) == 0 && word.find('=') == word.npos) {
      for (const Entry& e : table.entries()) {
        if (e.spec.flag.empty() || "--" + e.spec.flag != word) continue;
        const bool alone =
            i + 1 == words.size() || (words[i + 1][0] == '-' && !is_number(words[i + 1]));
        if (alone && !e.spec.bare.empty()) word += "=" + e.spec.bare;
        if (alone && e.spec.bare.empty() && !e.is_flag())
          throw_hint(ErrorKind::Usage,
                     "a value that starts with a dash is given as " + word + "=-X",
                     "{} wants a value: {} {}", word, word, e.spec.meta);
      }
    }
    reversed.push_back(word);
  }
  std::reverse(reversed.begin(), reversed.end());

  try {
    app.parse(reversed);
  } catch (const CLI::ParseError& error) {
    throw_hint(ErrorKind::Usage, "--help shows the flags", "{}", error.what());
  }

  Tokens tokens;
  for (const std::string& word : app.remaining()) {
    if (word.size() > 1 && word[0] == '-' && !is_number(word)) unknown_flag(table, word);
    tokens.positional.push_back(word);
  }
  const auto dashes = std::find(words.begin(), words.end(), "--");
  if (dashes != words.end())
    tokens.positional.insert(tokens.positional.end(), dashes + 1, words.end());
  std::map<const CLI::Option*, std::size_t> seen;
  for (const CLI::Option* option : app.parse_order()) {
    const auto& results = option->results();
    const std::size_t at = seen[option]++;
    TENON_ASSERT(at < results.size());
    tokens.flags.push_back({names.at(option), results[at]});
  }
  return tokens;
}

}  // namespace tenon::config
