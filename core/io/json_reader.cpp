#include "core/io/json_reader.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <system_error>

namespace tenon::io {
namespace {

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

void append_code_point(std::string& out, unsigned code) {
  const auto put = [&](unsigned byte) { out.push_back(static_cast<char>(byte)); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 63));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 63));
    put(0x80 | (code & 63));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 63));
    put(0x80 | (code >> 6 & 63));
    put(0x80 | (code & 63));
  }
}

}  // namespace

std::string json_quote(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

JsonReader::Position JsonReader::position_of(std::size_t offset) const {
  Position p;
  for (std::size_t i = 0; i < offset && i < text_.size(); ++i) {
    ++p.column;
    if (text_[i] == '\n') {
      ++p.line;
      p.column = 1;
    }
  }
  return p;
}

void JsonReader::fail_at(std::size_t offset, const std::string& text) {
  const Position p = position_of(offset);
  throw_error(error_kind_, "{}:{}:{}: {}", name_, p.line, p.column, text);
}

void JsonReader::fail(const std::string& text) {
  skip_space();
  fail_at(at_, text);
}

JsonReader::Position JsonReader::position() {
  skip_space();
  return position_of(at_);
}

void JsonReader::skip_space() {
  for (;;) {
    while (!at_end() &&
           (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
    if (peek_char() != '/') return;
    const std::size_t start = at_;
    const char second = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    if (second == '/') {
      at_ = std::min(text_.find('\n', at_), text_.size());
    } else if (second == '*') {
      const std::size_t end = text_.find("*/", at_ + 2);
      if (end == std::string_view::npos) fail_at(start, "comment without an end");
      at_ = end + 2;
    } else {
      fail_at(start, "unexpected '/'");
    }
  }
}

JsonReader::Kind JsonReader::peek() {
  skip_space();
  if (at_end()) fail_at(at_, "the text ends where a value should be");
  const char c = text_[at_];
  switch (c) {
    case '{':
      return Kind::Object;
    case '[':
      return Kind::Array;
    case '"':
      return Kind::String;
    case 't':
    case 'f':
      return Kind::Bool;
    case 'n':
      return Kind::Null;
    default:
      break;
  }
  if (c == '-' || is_digit(c)) return Kind::Number;
  if (c == '\'') fail_at(at_, "strings stand in double quotes");
  if (c >= 0x20 && c < 0x7F) fail_at(at_, fmt::format("unexpected '{}', want a value", c));
  fail_at(at_, fmt::format("unexpected byte {:#04x}, want a value", static_cast<unsigned char>(c)));
}

void JsonReader::enter(char open) {
  skip_space();
  if (peek_char() != open)
    fail_at(at_, open == '{' ? "want an object '{...}'" : "want an array '[...]'");
  if (++depth_ > max_depth_) fail_at(at_, fmt::format("nested deeper than {} levels", max_depth_));
  ++at_;
}

bool JsonReader::next_item(char close, bool first) {
  skip_space();
  if (at_end()) fail_at(at_, fmt::format("the text ends before '{}'", close));
  if (text_[at_] == close) {
    ++at_;
    return false;
  }
  if (first) return true;
  if (text_[at_] != ',') fail_at(at_, fmt::format("want ',' or '{}'", close));
  const std::size_t comma = at_++;
  skip_space();
  if (peek_char() == close)
    fail_at(comma, fmt::format("trailing comma: remove the ',' before '{}'", close));
  return true;
}

std::string JsonReader::key_and_colon() {
  skip_space();
  key_offset_ = at_;
  if (peek_char() != '"') fail_at(at_, "want a key in double quotes");
  std::string key = string();
  skip_space();
  if (peek_char() != ':') fail_at(at_, fmt::format("want ':' after key \"{}\"", key));
  ++at_;
  return key;
}

std::string JsonReader::string() {
  skip_space();
  if (peek_char() != '"') fail_at(at_, "want a string");
  const std::size_t start = at_++;
  std::string out;
  for (;;) {
    if (at_end()) fail_at(start, "string without an end");
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (c == '"') {
      ++at_;
      return out;
    }
    if (c == '\\') {
      append_escape(out);
    } else if (c < 0x20) {
      fail_at(at_, c == '\n' ? std::string("string without an end")
                             : fmt::format("control byte {:#04x} in a string", c));
    } else if (c < 0x80) {
      out.push_back(text_[at_++]);
    } else {
      append_utf8_sequence(out);
    }
  }
}

unsigned JsonReader::hex4() {
  unsigned value = 0;
  if (at_ + 4 > text_.size()) fail_at(at_, "want four hexadecimal digits after \\u");
  const auto result = std::from_chars(text_.data() + at_, text_.data() + at_ + 4, value, 16);
  if (result.ec != std::errc() || result.ptr != text_.data() + at_ + 4)
    fail_at(at_, "want four hexadecimal digits after \\u");
  at_ += 4;
  return value;
}

void JsonReader::append_escape(std::string& out) {
  const std::size_t start = at_++;
  const char c = peek_char();
  ++at_;
  switch (c) {
    case '"':
      out.push_back('"');
      return;
    case '\\':
      out.push_back('\\');
      return;
    case '/':
      out.push_back('/');
      return;
    case 'b':
      out.push_back('\b');
      return;
    case 'f':
      out.push_back('\f');
      return;
    case 'n':
      out.push_back('\n');
      return;
    case 'r':
      out.push_back('\r');
      return;
    case 't':
      out.push_back('\t');
      return;
    case 'u':
      break;
    default:
      fail_at(start, "unknown escape in a string");
  }
  unsigned code = hex4();
  if (code >= 0xDC00 && code < 0xE000) fail_at(start, "second half of a surrogate pair alone");
  if (code >= 0xD800 && code < 0xDC00) {
    if (text_.substr(at_, 2) != "\\u") fail_at(start, "first half of a surrogate pair alone");
    at_ += 2;
    const unsigned low = hex4();
    if (low < 0xDC00 || low >= 0xE000) fail_at(start, "first half of a surrogate pair alone");
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  append_code_point(out, code);
}

// Checks what is copied, so that a name from a file can always be printed and written again.
void JsonReader::append_utf8_sequence(std::string& out) {
  const std::size_t start = at_;
  const auto byte = [&](std::size_t i) {
    return i < text_.size() ? static_cast<unsigned>(static_cast<unsigned char>(text_[i])) : 0u;
  };
  const unsigned lead = byte(at_);
  const int length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  unsigned code = lead & (0x7Fu >> length);
  bool ok = lead >= 0xC2 && lead < 0xF5;
  for (int i = 1; ok && i < length; ++i) {
    const unsigned next = byte(start + static_cast<std::size_t>(i));
    ok = (next & 0xC0) == 0x80;
    code = code << 6 | (next & 63);
  }
  ok = ok && !(length == 3 && code < 0x800) && !(length == 4 && code < 0x10000) &&
       code <= 0x10FFFF && !(code >= 0xD800 && code < 0xE000);
  if (!ok) fail_at(start, "text is not UTF-8");
  out.append(text_.substr(start, static_cast<std::size_t>(length)));
  at_ += static_cast<std::size_t>(length);
}

// The text of the number at hand, checked against the grammar; does not advance.
std::string_view JsonReader::number_text() {
  skip_space();
  std::size_t i = at_;
  const auto digit = [&] { return i < text_.size() && is_digit(text_[i]); };
  if (i < text_.size() && text_[i] == '-') ++i;
  if (!digit()) fail_at(at_, "want a number");
  if (text_[i] == '0' && i + 1 < text_.size() && is_digit(text_[i + 1]))
    fail_at(at_, "a number may not start with 0");
  while (digit()) ++i;
  if (i < text_.size() && text_[i] == '.') {
    ++i;
    if (!digit()) fail_at(at_, "want a digit after the decimal point");
    while (digit()) ++i;
  }
  if (i < text_.size() && (text_[i] == 'e' || text_[i] == 'E')) {
    ++i;
    if (i < text_.size() && (text_[i] == '+' || text_[i] == '-')) ++i;
    if (!digit()) fail_at(at_, "want a digit in the exponent");
    while (digit()) ++i;
  }
  return text_.substr(at_, i - at_);
}

bool JsonReader::next_is_integer() {
  return number_text().find_first_of(".eE") == std::string_view::npos;
}

std::int64_t JsonReader::integer() {
  const std::string_view t = number_text();
  std::int64_t value = 0;
  const auto result = std::from_chars(t.data(), t.data() + t.size(), value);
  if (result.ec != std::errc() || result.ptr != t.data() + t.size())
    fail_at(at_, fmt::format("{} is not a 64-bit integer", t.substr(0, 40)));
  at_ += t.size();
  return value;
}

std::uint64_t JsonReader::unsigned_integer() {
  const std::string_view t = number_text();
  std::uint64_t value = 0;
  const auto result = std::from_chars(t.data(), t.data() + t.size(), value);
  if (result.ec != std::errc() || result.ptr != t.data() + t.size())
    fail_at(at_, fmt::format("{} is not an unsigned 64-bit integer", t.substr(0, 40)));
  at_ += t.size();
  return value;
}

double JsonReader::number() {
  const std::string_view t = number_text();
  double value = 0;
  const auto result = std::from_chars(t.data(), t.data() + t.size(), value);
  // Underflow is harmless (the nearest number is 0), overflow is not.
  if (result.ec == std::errc::result_out_of_range)
    value = std::strtod(std::string(t).c_str(), nullptr);
  if (!std::isfinite(value)) fail_at(at_, fmt::format("{} is too large", t.substr(0, 40)));
  at_ += t.size();
  return value;
}

void JsonReader::literal(std::string_view word) {
  if (text_.substr(at_, word.size()) != word) fail_at(at_, fmt::format("want {}", word));
  at_ += word.size();
}

bool JsonReader::boolean() {
  skip_space();
  const bool value = peek_char() == 't';
  if (!value && peek_char() != 'f') fail_at(at_, "want true or false");
  literal(value ? "true" : "false");
  return value;
}

void JsonReader::null() {
  skip_space();
  literal("null");
}

void JsonReader::skip() {
  switch (peek()) {
    case Kind::Object:
      return object([&](const std::string&) { skip(); });
    case Kind::Array:
      return array([&] { skip(); });
    case Kind::String:
      string();
      return;
    case Kind::Number:
      number();
      return;
    case Kind::Bool:
      boolean();
      return;
    case Kind::Null:
      null();
      return;
  }
}

void JsonReader::finish() {
  skip_space();
  if (!at_end()) fail_at(at_, "text after the end of the value");
}

}  // namespace tenon::io
