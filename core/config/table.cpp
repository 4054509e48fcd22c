#include "core/config/table.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/base/error.h"

namespace tenon::config {
namespace {

using Json = nlohmann::json;

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::size_t begin = 0;
  while (begin <= text.size()) {
    const std::size_t end = std::min(text.find(separator, begin), text.size());
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::int64_t integer_from_text(const Spec& spec, const std::string& text) {
  return spec.unit == Unit::Bytes ? parse_bytes(text) : parse_count(text);
}
double number_from_text(const Spec& spec, const std::string& text) {
  return spec.unit == Unit::Seconds ? parse_seconds(text) : parse_number(text);
}

void from_text(const Spec& spec, const Target& target, const std::string& text) {
  std::visit(Overloaded{
                 [&](bool* v) { *v = parse_bool(text); },
                 [&](std::int64_t* v) { *v = integer_from_text(spec, text); },
                 [&](double* v) { *v = number_from_text(spec, text); },
                 [&](std::string* v) { *v = text; },
                 [&](Interval* v) { *v = parse_interval(text); },
                 [&](std::optional<std::int64_t>* v) {
                   if (text == spec.none)
                     v->reset();
                   else
                     *v = integer_from_text(spec, text);
                 },
                 [&](std::optional<double>* v) {
                   if (text == spec.none)
                     v->reset();
                   else
                     *v = number_from_text(spec, text);
                 },
                 [&](std::vector<std::int64_t>* v) {
                   v->clear();
                   for (const auto& part : split(text, ',')) v->push_back(parse_count(part));
                 },
                 [&](std::vector<double>* v) {
                   v->clear();
                   for (const auto& part : split(text, ',')) v->push_back(parse_number(part));
                 },
                 [&](std::vector<std::string>* v) { *v = split(text, ','); },
             },
             target);
}

std::string compact(const Json& j) {
  return j.dump(-1, ' ', false, Json::error_handler_t::replace);
}

[[noreturn]] void wrong_type(const char* want, const Json& got) {
  throw_error(ErrorKind::Usage, "want {}, got {}", want, compact(got));
}

std::int64_t integer_from_json(const Spec& spec, const Json& j) {
  if (j.is_string()) return integer_from_text(spec, j.get<std::string>());
  if (j.is_number_unsigned() && j.get<std::uint64_t>() > std::uint64_t{1} << 62)
    wrong_type("a smaller number", j);
  if (j.is_number_integer()) return j.get<std::int64_t>();
  // 1e6 is a whole number, too.
  if (j.is_number_float()) return parse_count(format_number(j.get<double>()));
  wrong_type("a whole number", j);
}
double number_from_json(const Spec& spec, const Json& j) {
  if (j.is_number()) return j.get<double>();
  if (j.is_string() && spec.unit != Unit::Plain)
    return number_from_text(spec, j.get<std::string>());
  wrong_type("a number", j);
}
template <class T, class One>
std::vector<T> list_from_json(const Json& j, One one) {
  if (!j.is_array()) wrong_type("a list [ ]", j);
  std::vector<T> list;
  for (const Json& item : j) list.push_back(one(item));
  return list;
}
std::string string_from_json(const Json& j) {
  if (!j.is_string()) wrong_type("a string in quotes", j);
  return j.get<std::string>();
}

void from_json(const Spec& spec, const Target& target, const Json& j) {
  const auto is_none = [&] { return j.is_null() || (j.is_string() && j == spec.none); };
  std::visit(Overloaded{
                 [&](bool* v) {
                   if (!j.is_boolean()) wrong_type("true or false", j);
                   *v = j.get<bool>();
                 },
                 [&](std::int64_t* v) { *v = integer_from_json(spec, j); },
                 [&](double* v) { *v = number_from_json(spec, j); },
                 [&](std::string* v) { *v = string_from_json(j); },
                 [&](Interval* v) {
                   *v = j.is_number_integer() ? parse_interval(compact(j))
                                              : parse_interval(string_from_json(j));
                 },
                 [&](std::optional<std::int64_t>* v) {
                   if (is_none())
                     v->reset();
                   else
                     *v = integer_from_json(spec, j);
                 },
                 [&](std::optional<double>* v) {
                   if (is_none())
                     v->reset();
                   else
                     *v = number_from_json(spec, j);
                 },
                 [&](std::vector<std::int64_t>* v) {
                   *v = list_from_json<std::int64_t>(
                       j, [&](const Json& i) { return integer_from_json(spec, i); });
                 },
                 [&](std::vector<double>* v) {
                   *v = list_from_json<double>(
                       j, [&](const Json& i) { return number_from_json(spec, i); });
                 },
                 [&](std::vector<std::string>* v) {
                   *v = list_from_json<std::string>(j, string_from_json);
                 },
             },
             target);
}

Json to_json(const Entry& e) {
  const auto time = [&](double v) -> Json {
    return e.spec.unit == Unit::Seconds ? Json(format_seconds(v)) : Json(v);
  };
  return std::visit(
      Overloaded{
          [&](bool* v) -> Json { return *v; },
          [&](std::int64_t* v) -> Json { return *v; },
          [&](double* v) -> Json { return time(*v); },
          [&](std::string* v) -> Json { return *v; },
          [&](Interval* v) -> Json {
            return v->steps ? Json(v->steps) : Json(format_interval(*v));
          },
          [&](std::optional<std::int64_t>* v) -> Json {
            return *v ? Json(**v) : Json(e.spec.none);
          },
          [&](std::optional<double>* v) -> Json { return *v ? time(**v) : Json(e.spec.none); },
          [&](auto* v) -> Json { return *v; },
      },
      e.target);
}

void check_number(const Spec& spec, double value) {
  const bool low = spec.min_open ? value <= spec.min : value < spec.min;
  if (!low && value <= spec.max) return;
  const auto show = [&](double v) {
    return spec.unit == Unit::Seconds ? format_seconds(v) : format_number(v);
  };
  std::string wanted;
  if (std::isfinite(spec.min)) wanted = (spec.min_open ? "above " : "at least ") + show(spec.min);
  if (std::isfinite(spec.max))
    wanted += (wanted.empty() ? "at most " : " and at most ") + show(spec.max);
  throw_error(ErrorKind::Usage, "{} is out of range, want {}", show(value), wanted);
}

void check_value(const Spec& spec, const Target& target) {
  std::visit(Overloaded{
                 [&](std::int64_t* v) { check_number(spec, static_cast<double>(*v)); },
                 [&](double* v) { check_number(spec, *v); },
                 [&](std::optional<std::int64_t>* v) {
                   if (*v) check_number(spec, static_cast<double>(**v));
                 },
                 [&](std::optional<double>* v) {
                   if (*v) check_number(spec, **v);
                 },
                 [&](std::vector<std::int64_t>* v) {
                   for (auto x : *v) check_number(spec, static_cast<double>(x));
                 },
                 [&](std::vector<double>* v) {
                   for (double x : *v) check_number(spec, x);
                 },
                 [&](std::string* v) {
                   if (spec.choices.empty()) return;
                   for (const auto& choice : spec.choices)
                     if (choice == *v) return;
                   const std::string near = nearest_key(*v, spec.choices);
                   throw_error(ErrorKind::Usage, "'{}' is not one of {}{}", *v,
                               fmt::join(spec.choices, ", "),
                               near.empty() ? "" : fmt::format(" (did you mean {}?)", near));
                 },
                 [](auto*) {},
             },
             target);
}

}  // namespace

std::string json_value(const Entry& entry) {
  return compact(to_json(entry));
}

std::string typed_value(const Entry& entry) {
  const Json j = to_json(entry);
  if (j.is_string()) return j.get<std::string>();
  if (!j.is_array()) return json_value(entry);
  std::string text;
  for (const Json& item : j) {
    if (!text.empty()) text += ',';
    text += item.is_string() ? item.get<std::string>() : item.dump();
  }
  return text;
}

std::string Entry::variable() const {
  if (!spec.variable.empty() || spec.flag.empty()) return spec.variable;
  std::string name = "TENON_" + spec.flag;
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return name;
}

void Table::add_entry(Target target, Spec spec) {
  TENON_ASSERT(!spec.key.empty() || !spec.flag.empty());
  TENON_ASSERT(spec.key.empty() || !find_key(spec.key));
  TENON_ASSERT(spec.flag.empty() || !find_flag(spec.flag));
  Entry entry{.spec = std::move(spec),
              .target = target,
              .group = group_,
              .initial = {},
              .origin = "default",
              .preset = {}};
  entry.initial = entry.preset = json_value(entry);
  entries_.push_back(std::move(entry));
}

void Table::positional(std::vector<std::string>& words, std::string meta, std::size_t min,
                       std::size_t max) {
  positional_ = {&words, std::move(meta), min, max};
}

void Table::reset() {
  for (Entry& e : entries_) {
    from_json(e.spec, e.target, Json::parse(e.initial));
    e.origin = "default";
    e.preset = e.initial;
  }
}

void Table::assigned(Entry& entry, const std::string& where, const std::string& origin) {
  try {
    check_value(entry.spec, entry.target);
  } catch (const Error& error) {
    throw Error(error.kind(), where + ": " + error.message(), error.hint());
  }
  entry.origin = origin;
  if (entry.spec.exclusive.empty()) return;
  for (Entry& other : entries_) {
    if (&other == &entry || other.spec.exclusive != entry.spec.exclusive) continue;
    from_json(other.spec, other.target, nullptr);
    other.origin = "cleared by " + origin;
  }
}

void Table::set_text(Entry& entry, const std::string& text, const std::string& where,
                     const std::string& origin) {
  try {
    from_text(entry.spec, entry.target, text);
  } catch (const Error& error) {
    throw Error(error.kind(), where + ": " + error.message(), error.hint());
  }
  assigned(entry, where, origin);
}

void Table::set_json(Entry& entry, const Json& value, const std::string& where,
                     const std::string& origin) {
  try {
    from_json(entry.spec, entry.target, value);
  } catch (const Error& error) {
    throw Error(error.kind(), where + ": " + error.message(), error.hint());
  }
  // A saved configuration names every member of an exclusive group, all but one without a value.
  if (!entry.spec.exclusive.empty() && (value.is_null() || value == entry.spec.none)) {
    entry.origin = origin;
    return;
  }
  assigned(entry, where, origin);
}

Entry* Table::find_key(const std::string& key) {
  for (Entry& e : entries_)
    if (!e.spec.key.empty() && e.spec.key == key) return &e;
  return nullptr;
}

Entry* Table::find_flag(const std::string& flag) {
  for (Entry& e : entries_)
    if (!e.spec.flag.empty() && e.spec.flag == flag) return &e;
  return nullptr;
}

std::vector<std::string> Table::keys() const {
  std::vector<std::string> names;
  for (const Entry& e : entries_)
    if (!e.spec.key.empty()) names.push_back(e.spec.key);
  return names;
}

std::vector<std::string> Table::flags() const {
  std::vector<std::string> names;
  for (const Entry& e : entries_)
    if (!e.spec.flag.empty()) names.push_back(e.spec.flag);
  return names;
}

}  // namespace tenon::config
