#include "trainers/run/metrics.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "core/io/file.h"

namespace tenon::run {
namespace {

using Json = nlohmann::json;

std::string quoted(const std::string& text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

void append_number(std::string& out, double v) {
  // Counts and clocks below 2^53 are printed whole.
  if (v == std::floor(v) && std::abs(v) < 9e15)
    out += fmt::format("{}", static_cast<std::int64_t>(v));
  else
    out += fmt::format("{}", v);
}

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

Record::Value value_of(const Json& j) {
  switch (j.type()) {
    case Json::value_t::boolean:
      return j.get<bool>();
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return j.get<std::int64_t>();
    case Json::value_t::number_float:
      return j.get<double>();
    case Json::value_t::string:
      return j.get<std::string>();
    case Json::value_t::array: {
      std::vector<double> list;
      for (const Json& item : j) {
        if (!item.is_number()) return j.dump();
        list.push_back(item.get<double>());
      }
      return list;
    }
    default:
      return std::nan("");
  }
}

bool read_line(const std::string& line, Record& record) {
  const Json j = Json::parse(line, nullptr, false);
  if (!j.is_object()) return false;
  for (const auto& [key, value] : j.items()) {
    if (key == "kind" && value.is_string())
      record.kind = value.get<std::string>();
    else if (key == "step" && value.is_number_integer())
      record.step = value.get<std::int64_t>();
    else if (key == "t" && value.is_number())
      record.time = value.get<double>();
    else if (key != "nonfinite")
      record.add(key, value_of(value));
  }
  return !record.kind.empty();
}

}  // namespace

const Record::Value* Record::find(const std::string& key) const {
  for (const auto& [name, value] : values)
    if (name == key) return &value;
  return nullptr;
}

std::optional<double> Record::number(const std::string& key) const {
  const Value* value = find(key);
  if (!value) return std::nullopt;
  if (const auto* v = std::get_if<double>(value)) return *v;
  if (const auto* v = std::get_if<std::int64_t>(value)) return static_cast<double>(*v);
  return std::nullopt;
}

std::string Record::text(const std::string& key) const {
  const Value* value = find(key);
  const auto* v = value ? std::get_if<std::string>(value) : nullptr;
  return v ? *v : std::string();
}

std::string json_line(const Record& record) {
  std::string out = "{";
  if (record.kind == "header") out += "\"v\":1,";
  out += fmt::format("\"kind\":{},\"step\":{},\"t\":{:.3f}", quoted(record.kind), record.step,
                     record.time);
  std::string nonfinite;
  const auto number = [&](const std::string& key, double v) {
    if (std::isfinite(v)) return append_number(out, v);
    out += "null";
    nonfinite += (nonfinite.empty() ? "" : ",") + quoted(key);
  };
  for (const auto& [key, value] : record.values) {
    out += "," + quoted(key) + ":";
    if (const auto* b = std::get_if<bool>(&value))
      out += *b ? "true" : "false";
    else if (const auto* i = std::get_if<std::int64_t>(&value))
      out += fmt::format("{}", *i);
    else if (const auto* d = std::get_if<double>(&value))
      number(key, *d);
    else if (const auto* s = std::get_if<std::string>(&value))
      out += quoted(*s);
    else {
      const auto& list = std::get<std::vector<double>>(value);
      out += "[";
      for (std::size_t k = 0; k < list.size(); ++k) {
        if (k) out += ",";
        number(key, list[k]);
      }
      out += "]";
    }
  }
  if (!nonfinite.empty()) out += ",\"nonfinite\":[" + nonfinite + "]";
  return out + "}";
}

MetricsWriter::MetricsWriter(const std::filesystem::path& file) : path_(file) {
  descriptor_ = open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  check(descriptor_ >= 0, ErrorKind::Disk, "cannot write '{}': {}", file.string(),
        std::strerror(errno));
  char last = '\n';
  const off_t size = lseek(descriptor_, 0, SEEK_END);
  if (size > 0 && pread(descriptor_, &last, 1, size - 1) == 1 && last != '\n') {
    const ssize_t wrote = ::write(descriptor_, "\n", 1);
    check(wrote == 1, ErrorKind::Disk, "cannot write '{}': {}", file.string(),
          std::strerror(errno));
  }
}

MetricsWriter::~MetricsWriter() {
  if (descriptor_ >= 0) close(descriptor_);
}

void MetricsWriter::write(Record record) {
  if (record.time == 0) record.time = wall_time();
  const std::string line = json_line(record) + "\n";
  ssize_t wrote;
  do wrote = ::write(descriptor_, line.data(), line.size());
  while (wrote < 0 && errno == EINTR);
  check(wrote == static_cast<ssize_t>(line.size()), ErrorKind::Disk, "cannot write '{}': {}",
        path_.string(), wrote < 0 ? std::strerror(errno) : "no space left");
}

Metrics read_metrics(const std::filesystem::path& file) {
  const io::ByteBuffer bytes = io::read_file(file);
  const std::string_view text = io::as_text(bytes);
  Metrics metrics;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string line(text.substr(begin, end - begin));
    begin = end + 1;
    if (line.empty()) continue;
    Record record;
    if (!read_line(line, record)) {
      ++metrics.damaged;
      continue;
    }
    if (record.kind == "header") {
      if (metrics.header.kind.empty()) metrics.header = std::move(record);
      continue;
    }
    if (record.kind == "resume") {
      auto& all = metrics.records;
      all.erase(std::remove_if(all.begin(), all.end(),
                               [&](const Record& r) { return r.step > record.step; }),
                all.end());
      metrics.restarts.push_back(record.step);
    }
    metrics.records.push_back(std::move(record));
  }
  return metrics;
}

}  // namespace tenon::run
