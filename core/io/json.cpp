#include "core/io/json.h"

#include <nlohmann/json.hpp>

namespace tenon::io {
namespace {

std::string pointer_step(std::string key) {
  std::string out = "/";
  for (const char c : key) {  // RFC 6901
    if (c == '~') {
      out += "~0";
    } else if (c == '/') {
      out += "~1";
    } else {
      out += c;
    }
  }
  return out;
}

class Builder {
 public:
  Builder(JsonReader& in, JsonPositions* positions) : in_(in), positions_(positions) {}

  Json value(const std::string& pointer) {
    switch (in_.peek()) {
      case JsonReader::Kind::Object:
        return object(pointer);
      case JsonReader::Kind::Array: {
        Json out = Json::array();
        in_.array([&] {
          const std::string here =
              positions_ ? pointer + "/" + std::to_string(out.size()) : std::string();
          if (positions_) (*positions_)[here] = in_.position();
          out.push_back(value(here));
        });
        return out;
      }
      case JsonReader::Kind::String:
        return in_.string();
      case JsonReader::Kind::Number:
        if (in_.next_is_integer()) return in_.integer();
        return in_.number();
      case JsonReader::Kind::Bool:
        return in_.boolean();
      case JsonReader::Kind::Null:
        break;
    }
    in_.null();
    return nullptr;
  }

 private:
  Json object(const std::string& pointer) {
    Json out = Json::object();
    in_.object([&](const std::string& key) {
      const std::string here = positions_ ? pointer + pointer_step(key) : std::string();
      if (positions_) (*positions_)[here] = in_.key_position();
      out[key] = value(here);
    });
    return out;
  }

  JsonReader& in_;
  JsonPositions* positions_;
};

}  // namespace

Json parse_json(std::string_view text, const std::string& name, ErrorKind kind,
                JsonPositions* positions) {
  JsonReader in(text, name, kind);
  Json out = Builder(in, positions).value("");
  in.finish();
  return out;
}

Json read_json(const fs::path& path, ErrorKind kind, JsonPositions* positions,
               std::uint64_t limit) {
  const ByteBuffer bytes = read_file(path, limit, kind);
  return parse_json(as_text(bytes), path.string(), kind, positions);
}

std::string json_text(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace) + "\n";
}

void write_json(const fs::path& path, const Json& value, int indent) {
  write_file_atomic(path, json_text(value, indent));
}

}  // namespace tenon::io
