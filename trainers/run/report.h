// report.html: a run as one page, with nothing outside it: no script, no external file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace tenon::run {

struct ReportOptions {
  std::vector<std::filesystem::path> runs = {};  // several are drawn into the same curves
  // The paper's number for the headline metric, e.g. fid50k 5.14 at 6 NFE.
  std::string paper_metric = {};
  double paper_value = 0;
  bool higher_is_better = false;
  std::size_t max_bytes = 8u << 20;  // older sample grids are left out above it
};

// Reads metrics.jsonl, status.json, config.json, env.json, command.txt and samples/ of each run,
// and replaces `file` as a whole. Missing parts are left out; only a missing metrics.jsonl is a
// Data error.
void write_report(const ReportOptions& options, const std::filesystem::path& file);

}  // namespace tenon::run
