#include "core/config/units.h"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <system_error>

#include "core/base/error.h"
#include "core/io/file.h"

namespace tenon::config {
namespace {

// The number at the front of `text`, which loses it; nothing when there is none.
std::optional<double> take_number(std::string_view& text) {
  double value = 0;
  const char* first = text.data() + (!text.empty() && text[0] == '+' ? 1 : 0);
  const auto [end, code] = std::from_chars(first, text.data() + text.size(), value);
  if (code != std::errc() || !std::isfinite(value)) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return value;
}

[[noreturn]] void bad(std::string_view text, const char* what, const char* forms) {
  throw_error(ErrorKind::Usage, "'{}' is not {} ({})", text, what, forms);
}

struct Suffix {
  const char* text;
  double factor;
};

constexpr double kKi = 1024.0;
constexpr std::array kCountSuffixes{Suffix{"", 1},    Suffix{"k", 1e3}, Suffix{"K", 1e3},
                                    Suffix{"M", 1e6}, Suffix{"G", 1e9}, Suffix{"B", 1e9},
                                    Suffix{"T", 1e12}};
constexpr std::array kByteSuffixes{Suffix{"", 1},
                                   Suffix{"B", 1},
                                   Suffix{"K", kKi},
                                   Suffix{"KiB", kKi},
                                   Suffix{"KB", 1e3},
                                   Suffix{"M", kKi* kKi},
                                   Suffix{"MB", 1e6},
                                   Suffix{"MiB", kKi* kKi},
                                   Suffix{"G", kKi* kKi* kKi},
                                   Suffix{"GB", 1e9},
                                   Suffix{"GiB", kKi* kKi* kKi},
                                   Suffix{"T", kKi* kKi* kKi* kKi}};
constexpr std::array kTimeSuffixes{Suffix{"s", 1}, Suffix{"m", 60}, Suffix{"h", 3600},
                                   Suffix{"d", 86400}};

template <std::size_t N>
std::optional<double> factor_of(std::string_view suffix, const std::array<Suffix, N>& table) {
  for (const Suffix& s : table)
    if (suffix == s.text) return s.factor;
  return std::nullopt;
}

template <std::size_t N>
std::int64_t parse_integer(std::string_view text, const std::array<Suffix, N>& suffixes,
                           const char* what, const char* forms) {
  std::string_view rest = text;
  // Plain digits keep all 63 bits; only texts with a fraction, exponent or unit go through double.
  std::int64_t exact = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), exact);
  if (code == std::errc() && end == text.data() + text.size()) return exact;
  const auto number = take_number(rest);
  if (!number) bad(text, what, forms);
  const auto factor = factor_of(rest, suffixes);
  if (!factor) bad(text, what, forms);
  const double value = *number * *factor;
  const double whole = std::nearbyint(value);
  if (std::abs(value - whole) > 1e-6 * std::max(1.0, std::abs(value)) || std::abs(whole) > 9e18)
    bad(text, what, forms);
  return static_cast<std::int64_t>(whole);
}

// Every letter of `abbreviation` occurs in `word` in this order, the first letters being the same.
bool abbreviates(std::string_view abbreviation, std::string_view word) {
  if (abbreviation.size() < 2 || word.empty() || abbreviation[0] != word[0]) return false;
  std::size_t at = 0;
  for (char c : word)
    if (at < abbreviation.size() && c == abbreviation[at]) ++at;
  return at == abbreviation.size();
}

std::string_view last_part(std::string_view key) {
  return key.substr(key.rfind('.') + 1);
}
std::string_view section(std::string_view key) {
  const auto dot = key.rfind('.');
  return dot == key.npos ? std::string_view() : key.substr(0, dot);
}
std::string_view without_dashes(std::string_view flag) {
  return flag.substr(std::min(flag.find_first_not_of('-'), flag.size()));
}

}  // namespace

std::int64_t parse_count(std::string_view text) {
  return parse_integer(text, kCountSuffixes, "a whole number", "try 512, 10k or 2M");
}

std::int64_t parse_bytes(std::string_view text) {
  return parse_integer(text, kByteSuffixes, "a size", "try 512M or 5G");
}

double parse_number(std::string_view text) {
  std::string_view rest = text;
  const auto value = take_number(rest);
  if (!value || !rest.empty()) bad(text, "a number", "try 0.5 or 1e-3");
  return *value;
}

double parse_seconds(std::string_view text) {
  constexpr const char* forms = "try 90s, 30m, 2h, 1d or 1h30m";
  std::string_view rest = text;
  double total = 0;
  do {
    const auto number = take_number(rest);
    if (!number) bad(text, "a time", forms);
    const std::size_t letters = rest.empty() ? 0 : 1;
    const auto factor = letters == 0 && total == 0
                            ? std::optional(1.0)
                            : factor_of(rest.substr(0, letters), kTimeSuffixes);
    if (!factor) bad(text, "a time", forms);
    rest.remove_prefix(letters);
    total += *number * *factor;
  } while (!rest.empty());
  return total;
}

bool parse_bool(std::string_view text) {
  for (const char* yes : {"true", "yes", "on", "1"})
    if (text == yes) return true;
  for (const char* no : {"false", "no", "off", "0"})
    if (text == no) return false;
  bad(text, "true or false", "yes, no, on, off, 1, 0 work too");
}

Interval parse_interval(std::string_view text) {
  if (text == "never" || text == "none") return {};
  const bool time = !text.empty() && std::string_view("smhd").find(text.back()) != text.npos;
  Interval interval;
  try {
    if (time)
      interval.seconds = parse_seconds(text);
    else
      interval.steps = parse_count(text);
  } catch (const Error&) {
    bad(text, "an interval", "try 500 or 10k for steps, 90s, 30m or 2h for time, never");
  }
  if (interval.steps < 0 || interval.seconds < 0) bad(text, "an interval", "it cannot be negative");
  return interval;
}

std::string format_number(double value) {
  return fmt::format("{}", value);
}

std::string format_seconds(double seconds) {
  if (seconds != std::floor(seconds) || seconds < 60 || seconds > 1e15)
    return format_number(seconds) + "s";
  auto left = static_cast<std::int64_t>(seconds);
  std::string text;
  for (const auto& [name, unit] :
       {std::pair<const char*, std::int64_t>{"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}}) {
    if (left >= unit) text += fmt::format("{}{}", left / unit, name);
    left %= unit;
  }
  return text;
}

std::string format_interval(const Interval& interval) {
  if (interval.never()) return "never";
  return interval.steps ? fmt::format("{}", interval.steps) : format_seconds(interval.seconds);
}

std::string nearest_key(std::string_view word, const std::vector<std::string>& candidates) {
  // Two changes turn any short name into any other: there the first letter must agree.
  const std::string_view letters = without_dashes(last_part(word));
  std::vector<std::string> alike;
  for (const std::string& name : candidates) {
    const std::string_view other = without_dashes(last_part(name));
    if (letters.size() > 3 || (!other.empty() && !letters.empty() && other[0] == letters[0]))
      alike.push_back(name);
  }
  if (std::string near = io::nearest_name(word, alike); !near.empty()) return near;
  std::string best;
  for (const std::string& name : candidates) {
    if (section(name) != section(word)) continue;
    const std::string_view a = without_dashes(last_part(name)), b = without_dashes(last_part(word));
    if ((abbreviates(a, b) || abbreviates(b, a)) && name.size() > best.size()) best = name;
  }
  if (!best.empty()) return best;
  // The right name in the wrong section, or without one.
  for (const std::string& name : candidates)
    if (last_part(name) == last_part(word)) return name;
  return {};
}

}  // namespace tenon::config
