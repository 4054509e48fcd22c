// A strict pull parser for JSON: comments allowed, everything else by RFC 8259.
//
// It exists beside nlohmann_json because untrusted headers and hand-written configurations need
// what that parser does not give: duplicate keys and trailing commas are errors, every error has
// file:line:column, depth is bounded, and nothing is built in memory that the caller does not want.
//
//   JsonReader in(text, "model.json", ErrorKind::Data);
//   in.object([&](const std::string& key) { if (key == "n") n = in.integer(); else in.skip(); });
//   in.finish();
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>

#include "core/base/error.h"

namespace tenon::io {

// The text as a JSON string, quotes included.
std::string json_quote(std::string_view text);

class JsonReader {
 public:
  enum class Kind { Object, Array, String, Number, Bool, Null };
  struct Position {
    int line = 1, column = 1;
  };

  // The text must outlive the reader. `name` stands in front of every error.
  JsonReader(std::string_view text, std::string name, ErrorKind kind = ErrorKind::Data,
             int max_depth = 64)
      : text_(text), name_(std::move(name)), error_kind_(kind), max_depth_(max_depth) {}

  // What the next value is.
  Kind peek();
  // Where the next value starts, and where the key that object() handed out last starts. They count
  // lines from the start of the text: for messages, not for every value of a big file.
  Position position();
  Position key_position() const { return position_of(key_offset_); }

  // Calls member(key) for each key; member must consume exactly one value.
  template <class Member>
  void object(Member&& member) {
    enter('{');
    std::unordered_set<std::string> keys;
    for (bool first = true; next_item('}', first); first = false) {
      std::string key = key_and_colon();
      if (!keys.insert(key).second) fail_at(key_offset_, "duplicate key \"" + key + "\"");
      member(static_cast<const std::string&>(key));
    }
    --depth_;
  }

  // Calls item() for each element; item must consume exactly one value.
  template <class Item>
  void array(Item&& item) {
    enter('[');
    for (bool first = true; next_item(']', first); first = false) item();
    --depth_;
  }

  std::string string();
  // True when the number has neither fraction nor exponent.
  bool next_is_integer();
  std::int64_t integer();  // an error when it is not one, or does not fit
  std::uint64_t unsigned_integer();
  double number();  // an error when it overflows
  bool boolean();
  void null();
  void skip();
  // Nothing but white space and comments may follow.
  void finish();

  // "name:line:column: text"; the position is that of the next value.
  [[noreturn]] void fail(const std::string& text);
  const std::string& name() const { return name_; }

 private:
  void skip_space();
  void enter(char open);
  bool next_item(char close, bool first);
  std::string key_and_colon();
  void literal(std::string_view word);
  std::string_view number_text();
  void append_escape(std::string& out);
  unsigned hex4();
  void append_utf8_sequence(std::string& out);
  bool at_end() const { return at_ >= text_.size(); }
  char peek_char() const { return at_end() ? '\0' : text_[at_]; }
  Position position_of(std::size_t offset) const;
  [[noreturn]] void fail_at(std::size_t offset, const std::string& text);

  std::string_view text_;
  std::string name_;
  ErrorKind error_kind_;
  int max_depth_;
  int depth_ = 0;
  std::size_t at_ = 0, key_offset_ = 0;
};

}  // namespace tenon::io
