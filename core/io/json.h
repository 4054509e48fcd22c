// JSON documents in memory (nlohmann_json), read strictly and written atomically.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>

#include "core/io/file.h"
#include "core/io/json_reader.h"

namespace tenon::io {

using Json = nlohmann::json;

// Where each value stands, by JSON pointer ("/optim/lr"): lets a later check name the line.
using JsonPositions = std::map<std::string, JsonReader::Position>;

// Parses with JsonReader's rules. Integers stay integers, other numbers are double.
Json parse_json(std::string_view text, const std::string& name, ErrorKind kind = ErrorKind::Data,
                JsonPositions* positions = nullptr);

Json read_json(const fs::path& path, ErrorKind kind = ErrorKind::Data,
               JsonPositions* positions = nullptr, std::uint64_t limit = 256 << 20);

// With a final line break. Numbers that are not finite become null (JSON has none), invalid UTF-8
// is replaced.
std::string json_text(const Json& value, int indent = 2);

void write_json(const fs::path& path, const Json& value, int indent = 2);

}  // namespace tenon::io
