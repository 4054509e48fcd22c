// Values as people type them: counts (2M), times (90s, 2h), sizes (5G), intervals, and the words
// nearest to a mistyped one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenon::config {

// When something recurs: every so many steps, or every so many seconds; both 0 is never.
struct Interval {
  std::int64_t steps = 0;
  double seconds = 0;

  bool never() const { return steps == 0 && seconds == 0; }
  bool operator==(const Interval&) const = default;
};

// All of these throw a Usage error that quotes the text and shows a valid form.
std::int64_t parse_count(std::string_view text);  // 512, 10k, 2M, 1.5G, 1e6: powers of 1000
std::int64_t parse_bytes(std::string_view text);  // 5G and 5GiB are 5 * 2^30, 5GB is 5 * 10^9
double parse_number(std::string_view text);       // finite; 1e-3
double parse_seconds(std::string_view text);      // 90, 90s, 30m, 2h, 1d, 1h30m
bool parse_bool(std::string_view text);           // true false yes no on off 1 0
Interval parse_interval(std::string_view text);   // 500, 10k: steps; 30m, 90s: time; never

// The shortest text that reads back as the same value.
std::string format_number(double value);
std::string format_seconds(double seconds);  // "30m", "1h30m", "0.25s"
std::string format_interval(const Interval& interval);

// The candidate that the writer of `word` probably meant, or "": a near spelling, or a name that
// abbreviates the word (learning_rate and lr) inside the same section.
std::string nearest_key(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace tenon::config
