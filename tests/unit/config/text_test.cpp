#include <doctest/doctest.h>

#include <array>

#include "config/source_text.hpp"
#include "config/suggestion.hpp"

namespace perjoule::config {
namespace {

TEST_CASE("UTF-8 is checked as RFC 3629 says") {
  for (std::string_view good :
       {"", "abc", "é", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    CAPTURE(good);
    CHECK(first_invalid_utf8(good) == std::string_view::npos);
  }
  for (std::string_view bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xE0\x9F\xBF", "\xED\xA0\x80",
                               "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82"}) {
    CAPTURE(bad);
    CHECK(first_invalid_utf8("ok" + std::string(bad)) == 2);
  }
}

TEST_CASE("a long line is cut around the position, counted in characters") {
  const std::string fits(excerpt_columns, 'x');
  CHECK(excerpt("a\n" + fits + "\r\nb", 2).line == fits);
  std::string line;
  for (int i = 0; i < 1000; ++i)
    line += "é";
  line += "HERE";
  for (int i = 0; i < 1000; ++i)
    line += "ü";
  const Excerpt middle = excerpt(line, 2000);
  CHECK(characters(middle.line) == excerpt_columns);
  CHECK(middle.line.starts_with("...é"));
  CHECK(middle.line.ends_with("ü..."));
  CHECK(middle.caret == excerpt_columns / 2 + 3);
  CHECK(middle.line.find("HERE") == 3 + 2 * (excerpt_columns / 2));
  const Excerpt start = excerpt(line, 0);
  CHECK(start.caret == 0);
  CHECK(start.line.starts_with("éé"));
  CHECK(start.line.ends_with("..."));
  const Excerpt end = excerpt(line, line.size());
  CHECK(end.line.starts_with("...ü"));
  CHECK(end.line.ends_with("ü"));
  CHECK(end.caret == characters(end.line));
}

TEST_CASE("the edit distance counts swapped, missing, added and replaced characters") {
  CHECK(edit_distance("period", "period") == 0);
  CHECK(edit_distance("peroid", "period") == 1);   // swap
  CHECK(edit_distance("perod", "period") == 1);    // left out
  CHECK(edit_distance("perriod", "period") == 1);  // doubled
  CHECK(edit_distance("pariod", "period") == 1);   // replaced
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("kitten", "sitting") == 3);
  const std::array<std::string_view, 3> words = {"enabled", "period", "deadline"};
  CHECK(did_you_mean("enable", words) == "did you mean \"enabled\"?");
  CHECK(did_you_mean("dedline", words) == "did you mean \"deadline\"?");
  CHECK(did_you_mean("zebra", words).empty());
  CHECK(did_you_mean(std::string(1 << 20, 'p'), words).empty());
}

}  // namespace
}  // namespace perjoule::config
