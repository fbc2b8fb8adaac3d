// Text of others on a terminal: nothing of it may act on the terminal or on the line.
#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>

#include "config/source_text.hpp"
#include "config/text.hpp"

namespace perjoule::text {

TEST_CASE("printable: what acts on a terminal or a line is escaped, and other text stays") {
  const struct {
    std::string_view text;
    std::string_view shown;
  } table[] = {
      {"", ""},
      {"coretemp \"0\" \\ 45 \u00b0C", "coretemp \"0\" \\ 45 \u00b0C"},
      {"\u6e29\u5ea6 \U0001F525", "\u6e29\u5ea6 \U0001F525"},
      {"a\nlevel=error", R"(a\nlevel=error)"},
      {"\x1B[2J\r\t\x7F", R"(\u001b[2J\r\t\u007f)"},
      {std::string_view("\0x", 2), R"(\u0000x)"},
      {"\u0085\u009b31m\u00a0", "\\u0085\\u009b31m\u00a0"},
      {"abc\u202Egpj.exe\u2066", R"(abc\u202egpj.exe\u2066)"},
      {"\u200E\u200F\u061C\u200B\u2028\u2029\uFEFF", R"(\u200e\u200f\u061c\u200b\u2028\u2029\ufeff)"},
      {"\x9B"
       "31m\xE9\xC3",
       R"(\x9b31m\xe9\xc3)"},
      {"\xC0\x8A\xED\xA0\x80", R"(\xc0\x8a\xed\xa0\x80)"},
  };
  for (const auto& row : table) {
    CAPTURE(row.shown);
    CHECK(printable(row.text) == row.shown);
    CHECK(printable(printable(row.text)) == row.shown);
  }
  CHECK(quoted("\u009b\u202e\n\xE9\"\\") == "\"\\u009b\\u202e\\n\uFFFD\\\"\\\\\"");
  CHECK(quoted_short("\u009b\xE9") == "\"\\u009b?\"");
}

TEST_CASE("printable: of any bytes the result is valid UTF-8 on one line without controls") {
  std::mt19937 random(11);
  constexpr std::string_view likely = "a\n\x1B\xC2\x85\xE2\x80\xAE\xA8\xEF\xBB\xBF\x9B\xF0\x9F\x94\xA5";
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes;
    for (auto n = random() % 12; n > 0; --n)
      bytes += random() % 3 == 0 ? static_cast<char>(random()) : likely[random() % likely.size()];
    for (const std::string& shown : {printable(bytes), quoted(bytes), quoted_short(bytes)}) {
      CHECK(config::first_invalid_utf8(shown) == std::string::npos);
      for (const char c : shown)
        CHECK((static_cast<unsigned char>(c) >= 0x20 && c != '\x7F'));
      for (const std::string_view bidi : {"\u202e", "\u2066", "\u0085", "\u2028"})
        CHECK(shown.find(bidi) == std::string::npos);
    }
  }
}

}  // namespace perjoule::text
