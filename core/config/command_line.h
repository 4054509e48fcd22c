// From the words of a command line to a filled table of settings.
//
// Later wins: defaults, preset, --config files in order, TENON_SET, TENON_<FLAG>, then --set and
// flags in the order typed. Every value remembers who set it. Unknown names are errors that name
// the nearest known one (docs/command-line.md).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/config/table.h"

namespace tenon::config {

struct Preset {
  std::string name, help;
  std::string base = {};  // a preset of the same list that is applied first
  std::vector<std::pair<std::string, std::string>> values = {};  // key, value as typed
};

struct Program {
  std::string name;                   // tenon-train-qac
  std::string summary;                // one sentence
  std::vector<std::string> examples;  // whole command lines
  std::vector<Preset> presets = {};
  std::string default_preset = {};  // applied when none is asked for
  std::string version = {};         // text of --version
};

struct Difference {
  std::string key, before, after, origin;
  bool resumable = false;  // Spec::resumable of that key
};

class CommandLine {
 public:
  // Splits the words; errors are unknown flags, missing values. Reads no file. `environment` holds
  // NAME=VALUE texts of which those starting with TENON_ are read.
  CommandLine(Program program, Table& table, std::vector<std::string> words,
              std::vector<std::string> environment);

  // The text asked for by --help, --help-all, --version or --list-presets; else empty.
  std::string information() const;

  // Fills the table. With `base`, that saved configuration stands in place of the preset.
  void resolve(const std::string& base = {});

  // --print-config was given: print printed_config() and stop.
  bool wants_config() const { return print_config_; }
  std::string printed_config(bool origins = true) const;

  // Name of the preset in use, or "".
  const std::string& preset() const { return preset_; }
  // What the call changed against preset (or base) and defaults.
  std::vector<Difference> changes() const;
  // Values that differ from a saved configuration; keys it does not have are not compared.
  std::vector<Difference> compare(const std::string& saved) const;

  const std::vector<std::string>& config_files() const { return files_; }
  const std::vector<std::string>& warnings() const { return warnings_; }
  // The command as typed, quoted for a shell.
  std::string text() const;

 private:
  struct Typed {
    std::string flag, value;
  };
  void read_environment(const std::vector<std::string>& environment);
  void apply_preset(const std::string& name, int depth = 0);
  void apply_file(const std::string& file, bool base);
  void apply_assignment(const std::string& text, const std::string& where);
  Error unknown_key(const std::string& where, const std::string& key) const;
  std::string preset_of_files() const;

  Program program_;
  Table& table_;
  std::vector<std::string> words_, files_, warnings_;
  std::vector<Typed> typed_;
  std::vector<std::pair<std::string, Typed>> variables_;  // by the variable's name
  std::string set_variable_, asked_preset_, preset_, information_;
  bool print_config_ = false;
};

// Two columns, one line a key: "key | before | after".
std::string difference_table(const std::vector<Difference>& differences, const std::string& before,
                             const std::string& after);

// The words of this process's environment.
std::vector<std::string> process_environment();

// Parts of the above, each in its own file.
struct Token {
  std::string flag;   // without dashes, as in the table; controls too
  std::string value;  // "true" or "false" for switches
};
struct Tokens {
  std::vector<Token> flags;  // in the order typed
  std::vector<std::string> positional;
};
Tokens tokenize(const Table& table, const std::vector<std::string>& words);
std::string help_text(const Program& program, const Table& table, bool all);
std::string presets_text(const Program& program);

}  // namespace tenon::config
