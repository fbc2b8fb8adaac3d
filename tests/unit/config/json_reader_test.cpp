#include "config/json_reader.hpp"
#include "config/text.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "tests/unit/config/fixture.hpp"

namespace perjoule::config {
namespace {

struct Case {
  std::string_view text;
  std::string_view refusal;  // without the last line
};

// The caret of every syntax error is under the wrong token.
constexpr Case syntax_cases[] = {
    {"", R"(perjoule.json:1:1: error: expected "{", got the end of the file
    1 | 
      | ^
   help: the smallest valid configuration is {}
)"},
    {"{\n  \"web\": {},\n\n", R"(perjoule.json:2:13: error: expected a key, got the end of the file
    2 |   "web": {},
      |             ^
   help: the bracket of line 1 is not closed
)"},
    {R"({"web" 1})", R"(perjoule.json:1:8: error: expected ":", got "1"
    1 | {"web" 1}
      |        ^
)"},
    {R"({"web": })", R"(perjoule.json:1:9: error: expected a value, got "}"
    1 | {"web": }
      |         ^
)"},
    {R"({"web": {},, })", R"(perjoule.json:1:12: error: expected a key, got ","
    1 | {"web": {},, }
      |            ^
)"},
    {R"({, })", R"(perjoule.json:1:2: error: expected a key or "}", got ","
    1 | {, }
      |  ^
)"},
    {R"({"web": [,]})", R"(perjoule.json:1:10: error: expected a value or "]", got ","
    1 | {"web": [,]}
      |          ^
)"},
    {R"({"web": [1 2]})", R"(perjoule.json:1:12: error: expected "," or "]", got "2"
    1 | {"web": [1 2]}
      |            ^
)"},
    {R"({"web": [1}})", R"(perjoule.json:1:11: error: expected "," or "]", got "}"
    1 | {"web": [1}}
      |           ^
)"},
    {"{\"web\": {}\n \"log\": {}}", R"(perjoule.json:2:2: error: expected "," or "}", got a string
    2 |  "log": {}}
      |  ^^^^^
   help: a comma is missing before it
)"},
    {R"({"web": 040})", R"(perjoule.json:1:9: error: a number starts with 0
    1 | {"web": 040}
      |         ^^^
   help: write it without the leading 0
)"},
    {R"({"web": -})", R"(perjoule.json:1:9: error: malformed number
    1 | {"web": -}
      |         ^
   help: numbers look like 12, -3 or 0.5
)"},
    {R"({"web": 1e999})", R"(perjoule.json:1:9: error: the number is too large
    1 | {"web": 1e999}
      |         ^^^^^
)"},
    {R"({'web': 1})", R"(perjoule.json:1:2: error: expected a key or "}", got "'"
    1 | {'web': 1}
      |  ^
   help: strings and keys need double quotes
)"},
    {R"({web: 1})", R"(perjoule.json:1:2: error: expected a key or "}", got "web"
    1 | {web: 1}
      |  ^^^
   help: keys need double quotes
)"},
    {R"({"web": True})", R"(perjoule.json:1:9: error: expected a value, got "True"
    1 | {"web": True}
      |         ^^^^
   help: write true
)"},
    {R"({"web": é})", R"(perjoule.json:1:9: error: expected a value, got "é"
    1 | {"web": é}
      |         ^
)"},
    {R"({"wéb": "in\qo"})", R"(perjoule.json:1:12: error: unknown escape in a string
    1 | {"wéb": "in\qo"}
      |            ^^
   help: a backslash is written \\
)"},
    {R"({"web": "\u12x4"})", R"(perjoule.json:1:10: error: \u must be followed by four hexadecimal digits
    1 | {"web": "\u12x4"}
      |          ^^^^^^
)"},
    {R"({"web": "\ud800"})", R"(perjoule.json:1:9: error: half of a \u surrogate pair in a string
    1 | {"web": "\ud800"}
      |         ^^^^^^^^
   help: write the character itself
)"},
    {"{\"web\": \"a\tb\"}",
     "perjoule.json:1:11: error: a tab inside a string\n    1 | {\"web\": \"a\tb\"}\n"
     "      |           ^\n   help: write \\t\n"},
    {"{\n \"web\": \"open\n}\n", R"(perjoule.json:2:9: error: unterminated string
    2 |  "web": "open
      |         ^^^^^
   help: put a " at its end
)"},
    {"{} /* open", R"(perjoule.json:1:4: error: unterminated comment
    1 | {} /* open
      |    ^^
   help: put */ at its end
)"},
    {"{} {}", R"(perjoule.json:1:4: error: expected the end of the file, got "{"
    1 | {} {}
      |    ^
)"},
    {"// \xff\n{}",
     "perjoule.json:1:4: error: byte 0xff is not UTF-8\n    1 | // \\xff\n      |    ^^^^\n"
     "   help: save the file as UTF-8\n"},
    {"{ /* é */ x}", R"(perjoule.json:1:11: error: expected a key or "}", got "x"
    1 | { /* é */ x}
      |           ^
   help: keys need double quotes
)"},
    {"[1]", R"(perjoule.json:1:1: error: expected an object, got an array
    1 | [1]
      | ^
   help: the smallest valid configuration is {}
)"},
};

TEST_CASE("a syntax error is reported with its position") {
  for (const Case& wrong : syntax_cases) {
    CAPTURE(wrong.text);
    CHECK(refusals_of(wrong.text) == std::string(wrong.refusal) + "1 error; configuration not loaded\n");
  }
}

TEST_CASE("a NUL does not end the file") {
  using namespace std::string_literals;
  CHECK(refusals_of("{}\0 garbage"s).starts_with("perjoule.json:1:3: error: control character 0x00\n"));
  CHECK(refusals_of("{} // \x1b[2J"s).starts_with("perjoule.json:1:7: error: control character 0x1b\n"));
}

TEST_CASE("comments, trailing commas and a byte order mark are allowed") {
  const std::string_view text =
      "\xEF\xBB\xBF// a , ] }\n{ /* \"x\" */ \"a\": [1, 2, /* , */ ], // ,\n \"b\": {\"c\": \",]\",},}\n";
  const json::Document document = json::read(text);
  REQUIRE(document.root);
  REQUIRE(document.root->items.size() == 2);
  const json::Value& list = document.root->items[0];
  CHECK(list.key == "a");
  CHECK(list.key_place.line == 2);
  CHECK(list.key_place.column == 13);
  CHECK(list.key_place.length == 3);
  REQUIRE(list.items.size() == 2);
  CHECK(list.items[1].place.column == 22);
  CHECK(document.root->items[1].items[0].text == ",]");
  CHECK(document.root->items[1].items[0].place.column == 13);
  CHECK(refusals_of("\xEF\xBB\xBF{\"wob\": 1}").starts_with("perjoule.json:1:2: error: wob: unknown key\n"));
}

TEST_CASE("files, depth and number of values are bounded") {
  const std::string deep = std::string(json::depth_max, '[') + std::string(json::depth_max, ']');
  CHECK(json::read(deep).root);
  const std::string deeper = "[" + deep + "]";
  const json::Document too_deep = json::read(deeper);
  CHECK_FALSE(too_deep.root);
  REQUIRE(too_deep.problems.size() == 1);
  CHECK(too_deep.problems[0].what == "nested deeper than 64 levels");
  CHECK(too_deep.problems[0].place.column == 65);

  std::string many = "[1";
  for (std::size_t i = 2; i < json::values_max; ++i)
    many += ",1";
  CHECK(json::read(many + "]").root);
  const std::string too_many_text = many + ",1]";
  const json::Document too_many = json::read(too_many_text);
  CHECK_FALSE(too_many.root);
  CHECK(too_many.problems.at(0).what == "more than 100000 values in one file");

  const std::string fits = "{}" + std::string(json::text_max - 2, ' ');
  CHECK(refusals_of(fits).empty());
  CHECK(refusals_of(fits + " ").starts_with("perjoule.json:1:1: error: longer than 4 MiB\n"));
}

TEST_CASE("a duplicate key is refused with its path") {
  const json::Document document = json::read(R"({"a": {"b": [0, {"c": 1, "c": 2}]}, "a": 3})");
  REQUIRE(document.root);
  REQUIRE(document.problems.size() == 2);
  CHECK(document.problems[0].path == "a.b[1].c");
  CHECK(document.problems[0].place.column == 26);
  CHECK(document.problems[1].path == "a");
  CHECK(document.problems[1].place.column == 37);
}

// Writes random JSON and records where each value and key begins and ends, in characters and lines.
class Writer {
 public:
  explicit Writer(unsigned seed) : random_(seed) {}

  void write(int depth) {
    switch (depth == 0 ? 4 + pick(2) : pick(depth > 4 ? 4U : 6U)) {
      case 0:
        return token(pick(2) ? "null" : "true");
      case 1:
        return token(std::to_string(pick(100000)));
      case 2:
        return token(pick(2) ? "-0.5e+3" : "0");
      case 3:
        return token(R"("a\"b\\é, ] // \u00e9")");
      case 4:
        return list('[', ']', depth);
      default:
        return list('{', '}', depth);
    }
  }

  std::string text;
  std::vector<Place> places;  // in the order of the text

 private:
  unsigned pick(unsigned below) { return std::uniform_int_distribution<unsigned>(0, below - 1)(random_); }

  void emit(std::string_view part) {
    for (char c : part) {
      text += c;
      if (c == '\n') {
        ++line_;
        column_ = 1;
      } else if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) {
        ++column_;
      }
    }
  }
  void blank() {
    constexpr std::string_view blanks[] = {"", " ", "\n", "\t", "/* é,:\" */", "// ]}\n", "\r\n"};
    emit(blanks[pick(std::size(blanks))]);
  }
  void token(std::string_view part) {
    blank();
    places.push_back(Place{text.size(), line_, column_, characters(part)});
    emit(part);
    blank();
  }
  void list(char open, char close, int depth) {
    blank();
    places.push_back(Place{text.size(), line_, column_, 1});
    emit(std::string(1, open));
    const unsigned count = pick(4);
    for (unsigned i = 0; i < count; ++i) {
      if (open == '{') {
        token("\"é" + std::to_string(i) + "\"");
        emit(":");
      }
      write(depth + 1);
      if (i + 1 < count || pick(2)) emit(",");
    }
    blank();
    emit(std::string(1, close));
  }

  std::mt19937 random_;
  std::size_t line_ = 1;
  std::size_t column_ = 1;
};

void collect(const json::Value& value, std::vector<Place>& places) {
  if (!value.key.empty()) places.push_back(value.key_place);
  places.push_back(value.place);
  for (const json::Value& item : value.items)
    collect(item, places);
}

TEST_CASE("every value and key of random JSON has the position at which it was written") {
  std::size_t seen = 0;
  for (unsigned seed = 0; seed < 3000; ++seed) {
    Writer writer(seed);
    writer.write(0);
    const json::Document document = json::read(writer.text);
    CAPTURE(writer.text);
    REQUIRE(document.root);
    std::vector<Place> places;
    collect(*document.root, places);
    REQUIRE(places.size() == writer.places.size());
    for (std::size_t i = 0; i < places.size(); ++i) {
      REQUIRE(places[i].offset == writer.places[i].offset);
      REQUIRE(places[i].line == writer.places[i].line);
      REQUIRE(places[i].column == writer.places[i].column);
      REQUIRE(places[i].length == writer.places[i].length);
    }
    seen += places.size();
  }
  CHECK(seen > 10000);
}

TEST_CASE("quoted strings read back, and show no control character") {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 12; ++i)
      text += static_cast<char>(random() % 128);
    const std::string quoted = text::quoted(text);
    for (char c : quoted)
      REQUIRE((c >= 0x20 && c != 0x7F));
    const json::Document document = json::read(quoted);
    REQUIRE(document.root);
    REQUIRE(document.root->text == text);
  }
  CHECK(text::quoted_short(std::string(59, 'a') + "é") == "\"" + std::string(59, 'a') + "?\"...");
}

}  // namespace
}  // namespace perjoule::config
