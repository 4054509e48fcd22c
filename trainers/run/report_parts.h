// What report.html is made of: the files of a run, and the parts of the page.
#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "trainers/run/chart.h"
#include "trainers/run/metrics.h"

namespace tenon::run {

struct RunFiles {
  std::filesystem::path folder;
  std::string name;
  Metrics metrics;
  nlohmann::json status, config, environment;  // null when missing or damaged
  std::string command;
};

RunFiles load_run(const std::filesystem::path& folder);

// The value as text, "" when it is not there.
std::string text_of(const nlohmann::json& object, const char* key);

std::vector<Point> points_of(const RunFiles& run, const std::string& kind, const std::string& key,
                             const std::string& name = {});

// Seconds by phase, summed over the sessions of a run.
std::vector<std::pair<std::string, double>> budget_of(const RunFiles& run);

// <tr> of cells (escaped here); from `numbers_from` on they are aligned to the right.
inline constexpr std::size_t kNoNumbers = 99;
std::string table_row(const std::vector<std::string>& cells, const char* tag,
                      std::size_t numbers_from);

// Parts of the page; empty when there is nothing to show.
std::string samples_part(const RunFiles& run, std::size_t max_bytes);
std::string evaluations_part(const std::vector<RunFiles>& runs);
std::string time_part(const RunFiles& run);
std::string settings_part(const RunFiles& run);
std::string differences_part(const std::vector<RunFiles>& runs);

}  // namespace tenon::run
