#include "core/io/json.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "tests/support/catch.h"
#include "tests/support/temp_dir.h"

namespace tenon::io {
namespace {

Json parse(std::string_view text) {
  return parse_json(text, "my.json");
}

}  // namespace

TEST_CASE("io: json reads what it should") {
  const Json json = parse(R"(// configuration
{
  "optim": {"lr": 1e-3, "steps": 100, "big": 9007199254740993}, /* numbers stay numbers */
  "names": ["a\u00e9\n\"", "\ud83d\ude00", "é"], "on": true, "off": false, "none": null, "empty": {},
  "list": []
})");
  CHECK(json["optim"]["lr"].get<double>() == 1e-3);
  CHECK(json["optim"]["steps"].is_number_integer());
  CHECK(json["optim"]["big"].get<std::int64_t>() == 9007199254740993);
  CHECK(json["names"][0] == "a\xC3\xA9\n\"");
  CHECK(json["names"][1] == "\xF0\x9F\x98\x80");
  CHECK(json["on"] == true);
  CHECK(json["none"].is_null());
  CHECK(parse(json_text(json)) == json);
}

TEST_CASE("io: json errors name file, line and column") {
  struct Row {
    const char* text;
    const char* part;
  };
  const Row rows[] = {
      {"{\"a\": 1,\n \"a\": 2}", "my.json:2:2: duplicate key \"a\""},
      {"{\"a\": 1,\n}", "my.json:1:8: trailing comma"},
      {"[1, 2, ]", "my.json:1:6: trailing comma"},
      {"{\"a\" 1}", "my.json:1:6: want ':'"},
      {"{a: 1}", "my.json:1:2: want a key in double quotes"},
      {"[1 2]", "my.json:1:4: want ',' or ']'"},
      {"[01]", "may not start with 0"},
      {"[1.]", "digit after the decimal point"},
      {"[1e]", "digit in the exponent"},
      {"[1e999]", "too large"},
      {"[99999999999999999999]", "not a 64-bit integer"},
      {"[nul]", "want null"},
      {"[NaN]", "unexpected 'N'"},
      {"\"a", "string without an end"},
      {"\"a\nb\"", "string without an end"},
      {"\"\\x\"", "unknown escape"},
      {"\"\\ud800\"", "surrogate"},
      {"\"\xC3\"", "not UTF-8"},
      {"\"\xC0\x80\"", "not UTF-8"},
      {"{} x", "text after the end"},
      {"", "the text ends"},
      {"/* a", "comment without an end"},
      {"['a']", "double quotes"},
  };
  for (const Row& row : rows) {
    INFO(row.text);
    REQUIRE_ERROR(parse(row.text), ErrorKind::Data, row.part);
  }
  REQUIRE_ERROR(parse_json("{", "c.json", ErrorKind::Usage), ErrorKind::Usage, "c.json:1:2");
}

TEST_CASE("io: json depth is bounded") {
  const std::string deep(100000, '[');
  REQUIRE_ERROR(parse(deep), ErrorKind::Data, "nested deeper than 64");
  const std::string fits = std::string(64, '[') + std::string(64, ']');
  CHECK(parse(fits).is_array());
}

TEST_CASE("io: json tells where each value stands") {
  JsonPositions positions;
  parse_json("{\n  \"optim\": {\n    \"a/b\": 1},\n  \"l\": [5,\n 6]}", "x", ErrorKind::Data,
             &positions);
  CHECK(positions.at("/optim").line == 2);
  CHECK(positions.at("/optim/a~1b").line == 3);
  CHECK(positions.at("/optim/a~1b").column == 5);
  CHECK(positions.at("/l/1").line == 5);
}

TEST_CASE("io: json writing") {
  const test::TempDir temp;
  Json json;
  json["loss"] = std::nan("");
  json["text"] = "a\xFF";
  write_json(temp / "a.json", json);
  const Json back = read_json(temp / "a.json");
  CHECK(back["loss"].is_null());
  CHECK(json_quote("a\"b\\\n") == "\"a\\\"b\\\\\\u000a\"");
}

}  // namespace tenon::io
