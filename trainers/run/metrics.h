// metrics.jsonl: one JSON object a line, flat keys with the unit in the key (docs/run-folder.md).
//
// One write() per line, so that lines of a killed process are whole but for the last. Steps rise
// except after a `resume` line, whose step voids earlier lines with a higher step.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace tenon::run {

struct Record {
  using Value = std::variant<bool, std::int64_t, double, std::string, std::vector<double>>;

  explicit Record(std::string record_kind = {}, std::int64_t at_step = 0)
      : kind(std::move(record_kind)), step(at_step) {}

  Record& add(std::string key, Value value) {
    values.emplace_back(std::move(key), std::move(value));
    return *this;
  }
  // A number of any width, or nothing under that name.
  std::optional<double> number(const std::string& key) const;
  std::string text(const std::string& key) const;
  const Value* find(const std::string& key) const;

  std::string kind;  // header train eval sample checkpoint resume stop warn system budget
  std::int64_t step = 0;
  double time = 0;  // seconds since 1970; 0 is filled in by the writer
  std::vector<std::pair<std::string, Value>> values;
};

// The line without its line break. A number that is not finite becomes null, and its key goes into
// "nonfinite" (JSON has no such numbers).
std::string json_line(const Record& record);

class MetricsWriter {
 public:
  // Appends. A file that ends in half a line (the process was killed) gets a line break first.
  explicit MetricsWriter(const std::filesystem::path& file);
  ~MetricsWriter();
  MetricsWriter(const MetricsWriter&) = delete;
  MetricsWriter& operator=(const MetricsWriter&) = delete;

  void write(Record record);

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

struct Metrics {
  Record header;
  std::vector<Record> records;         // void ones left out
  std::vector<std::int64_t> restarts;  // steps of `resume` lines, in order
  std::size_t damaged = 0;             // lines that could not be read
};

// A missing file is a Data error; damaged lines are counted, not fatal.
Metrics read_metrics(const std::filesystem::path& file);

}  // namespace tenon::run
