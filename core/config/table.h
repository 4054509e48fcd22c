// The table of a program's settings: one line for each, from which flags, configuration keys,
// environment variables, help, checks and the printed configuration are all made.
//
//   struct Config { struct { double lr = 1e-3; } optim; };
//   void describe(config::Table& table, Config& c) {
//     table.group("optimizer");
//     table.add(c.optim.lr, {.key = "optim.lr", .flag = "lr", .meta = "RATE",
//                            .help = "learning rate", .min = 0, .common = true});
//   }
//
// The value a field has when it is added is its default. The fields must outlive the table.
#pragma once

#include <cstdint>
#include <limits>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/config/units.h"

namespace tenon::config {

using Target =
    std::variant<bool*, std::int64_t*, double*, std::string*, Interval*,
                 std::optional<std::int64_t>*, std::optional<double>*, std::vector<std::int64_t>*,
                 std::vector<double>*, std::vector<std::string>*>;

// How numbers are read and shown: integers take k, M, G; Seconds and Bytes their own units.
enum class Unit { Plain, Seconds, Bytes };

struct Spec {
  std::string key = {};   // "optim.lr"; empty: only a flag of this call, never part of a config
  std::string flag = {};  // "lr" for --lr and TENON_LR; empty: only by key (--set and files)
  std::string meta = {};  // RATE
  std::string help = {};
  double min = -std::numeric_limits<double>::infinity();  // numbers, and each one of a list
  double max = std::numeric_limits<double>::infinity();
  bool min_open = false;                  // min itself is not allowed
  Unit unit = Unit::Plain;                // for int64 and double fields
  std::vector<std::string> choices = {};  // for strings: nothing else is allowed
  std::string none = "none";              // the word for an optional that has no value, e.g. "auto"
  std::string bare = {};                  // the value of the flag when it stands alone (--resume)
  std::string exclusive = {};             // setting one of these clears the others of the same name
  bool path = false;                      // a file or folder: relative to the file that names it
  bool resumable = false;                 // may change when a run is resumed
  bool common = false;                    // among the lines of the short --help
  char letter = 0;                        // short form of the flag
  std::string variable = {};              // environment variable, when it is not TENON_<FLAG>
};

struct Entry {
  Spec spec;
  Target target;
  std::string group;
  std::string initial;             // the default as JSON text
  std::string origin = "default";  // who set it last: "preset x", "my.json:14", "TENON_LR", "--lr"
  std::string preset;              // JSON text before files, environment and flags changed it

  // Of the environment: "TENON_MICRO_BATCH" for the flag micro-batch.
  std::string variable() const;
  bool is_flag() const { return std::holds_alternative<bool*>(target); }
};

class Table {
 public:
  // Heading for the entries that follow.
  void group(std::string name) { group_ = std::move(name); }

  template <class T>
  void add(T& field, Spec spec) {
    add_entry(Target(&field), std::move(spec));
  }

  // The words of the command line that are no flags, e.g. input files; `meta` as shown in the
  // usage line. Without this call such a word is an error.
  void positional(std::vector<std::string>& words, std::string meta, std::size_t min = 0,
                  std::size_t max = std::numeric_limits<std::size_t>::max());

  // Every field back to its default.
  void reset();

  // Sets an entry from text as typed, or from a JSON value; Usage errors start with `where`.
  void set_text(Entry& entry, const std::string& text, const std::string& where,
                const std::string& origin);
  void set_json(Entry& entry, const nlohmann::json& value, const std::string& where,
                const std::string& origin);

  Entry* find_key(const std::string& key);
  Entry* find_flag(const std::string& flag);
  std::vector<std::string> keys() const;
  std::vector<std::string> flags() const;
  std::vector<Entry>& entries() { return entries_; }
  const std::vector<Entry>& entries() const { return entries_; }

  struct Positional {
    std::vector<std::string>* words = nullptr;
    std::string meta;
    std::size_t min = 0, max = 0;
  };
  const Positional& positional_words() const { return positional_; }

 private:
  void add_entry(Target target, Spec spec);
  void assigned(Entry& entry, const std::string& where, const std::string& origin);

  std::string group_ = "settings";
  std::vector<Entry> entries_;
  Positional positional_;
};

// The value of an entry as JSON text, and as a person would type it.
std::string json_value(const Entry& entry);
std::string typed_value(const Entry& entry);

}  // namespace tenon::config
