#include "daemon/record/series.hpp"
#include "config/utf8.hpp"

#include <doctest/doctest.h>

#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/fakes/readings.hpp"

using namespace perjoule;

namespace {

constexpr auto one_label = gauge<Unit::celsius>("perjoule_test_celsius", "A metric of this test.", "sensor");
constexpr auto two_labels = gauge<Unit::watt>("perjoule_test_watts", "A metric of this test.", "chip", "sensor");
constexpr auto no_label = gauge<Unit::none>("perjoule_test", "A metric of this test.");

// Decodes by arithmetic, unlike the code under test: every scalar value in its shortest form, no surrogates.
bool is_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80 ? 1 : lead >> 5 == 6 ? 2 : lead >> 4 == 14 ? 3 : lead >> 3 == 30 ? 4 : 0;
    if (length == 0 || i + length > text.size()) return false;
    std::uint32_t point = length == 1 ? lead : lead & (0x7FU >> length);
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if (next >> 6 != 2) return false;
      point = point << 6 | (next & 0x3FU);
    }
    constexpr std::uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (point < least[length] || point > 0x10FFFF || (point >= 0xD800 && point < 0xE000)) return false;
    i += length;
  }
  return true;
}

}  // namespace

TEST_CASE("for any input bytes a label is valid UTF-8 of bounded length without control characters") {
  std::mt19937_64 random(11);
  const std::string alphabet = "a\"\\\n\x01\x1F\x7F \xC2\xA9\xE2\x82\xAC\xF0\x9F\x94\x8B\xC0\xED\xA0\x80\xF4\x90\xFF";
  for (int round = 0; round < 20'000; ++round) {
    const std::string raw = hostile(random, alphabet, 400);
    const std::size_t bound = random() % 300;
    const std::string clean = clean_label(raw, bound);
    REQUIRE(is_utf8(clean));
    REQUIRE(clean.size() <= bound);
    for (char c : clean)
      REQUIRE((static_cast<unsigned char>(c) >= 0x20));
    // A clean value is not changed.
    REQUIRE(clean_label(clean, bound) == clean);
    if (is_utf8(raw) && raw.size() <= bound) REQUIRE(clean.size() == raw.size());
  }
}

TEST_CASE("every Unicode scalar value is kept, and cut only as a whole") {
  for (std::uint32_t point = 0x20; point <= 0x10FFFF; point += point < 0x3000 ? 1 : 251) {
    std::string text;
    const auto tail = [&](unsigned shift) { text += static_cast<char>(0x80 | ((point >> shift) & 0x3F)); };
    if (point < 0x80) {
      text = static_cast<char>(point);
    } else if (point < 0x800) {
      text = static_cast<char>(0xC0 | (point >> 6)), tail(0);
    } else if (point < 0x10000) {
      text = static_cast<char>(0xE0 | (point >> 12)), tail(6), tail(0);
    } else {
      text = static_cast<char>(0xF0 | (point >> 18)), tail(12), tail(6), tail(0);
    }
    if (point >= 0xD800 && point < 0xE000) {
      REQUIRE(utf8_length(text) == 0);
      continue;
    }
    REQUIRE(clean_label(text) == text);
    REQUIRE(clean_label(text, text.size() - 1).empty());
  }
  CHECK(utf8_length("") == 0);
  CHECK(clean_label("a\xFFz") == "a\xEF\xBF\xBDz");
  CHECK(clean_label("one\ntwo\tthree") == "one two three");
  CHECK(clean_label(std::string(1000, 'x')) == std::string(256, 'x'));
}

TEST_CASE("label strings escape what would end a value, and keep the declared order") {
  CHECK(label_text(no_label, "") == "");
  CHECK(label_text(one_label, label_values({R"(a"b\c)"})) == R"(sensor="a\"b\\c")");
  CHECK(label_text(two_labels, label_values({"k10temp", ""})) == R"(chip="k10temp",sensor="")");
  CHECK(label_text(two_labels, label_values({"", "temp1"})) == R"(chip="",sensor="temp1")");
  CHECK(label_text(two_labels, "") == R"(chip="",sensor="")");

  // No value escapes its quotes: an unescaped quote occurs only where a value begins or ends.
  std::mt19937_64 random(12);
  for (int round = 0; round < 5000; ++round) {
    std::string raw = hostile(random, "\"\\\n,={}a", 40);
    std::erase(raw, '\0');
    const std::string text = label_text(two_labels, label_values({raw, "z"}));
    std::vector<std::size_t> quotes;
    for (std::size_t i = 0; i < text.size(); ++i) {
      if (text[i] == '\\') {
        ++i;
      } else if (text[i] == '"') {
        quotes.push_back(i);
      }
    }
    REQUIRE(quotes.size() == 4);
    REQUIRE(text.substr(quotes[1]) == R"(",sensor="z")");
  }
}

TEST_CASE("a source has a budget of its own, and the table one for all") {
  SeriesTable table({5, 3}, {});
  const auto add = [&](std::string_view name, std::string_view source) {
    return table.identify(one_label, label_values({name}), source).has_value();
  };
  for (const char* name : {"a", "b", "c"})
    CHECK(add(name, "textfile"));
  CHECK_FALSE(add("d", "textfile"));
  CHECK(add("a", "textfile"));
  CHECK(add("e", "nvml"));
  CHECK(add("f", "nvml"));
  CHECK_FALSE(add("g", "nvml"));  // the table is full
  CHECK(table.refused() == 2);
  CHECK(table.refused_by_source().at("textfile") == 1);
  CHECK(table.refused_by_source().at("nvml") == 1);
}

TEST_CASE("a dropped series gives its place back, and comes again with another id") {
  std::size_t made = 0;
  SeriesTable table({2, 2}, [&](SeriesId, const SeriesTable::Series&) { ++made; });
  const auto first = table.identify(one_label, label_values({"a\xFF"}));
  const auto second = table.identify(one_label, label_values({"b"}));
  REQUIRE((first && second));
  table.drop({*first});
  CHECK(!table.contains(*first));
  CHECK(table.size() == 1);
  CHECK(table.identify(one_label, label_values({"b"})) == second);
  const auto again = table.identify(one_label, label_values({"a\xFF"}));
  REQUIRE(again);
  CHECK(*again > *second);
  CHECK(made == 3);
  CHECK_FALSE(table.identify(one_label, label_values({"c"})));
}

TEST_CASE("a table is tight for a source when a tenth of its budget is left, or of all") {
  SeriesTable table({100, 20}, {});
  const auto add = [&](int n, std::string_view source) {
    (void)table.identify(one_label, label_values({std::to_string(n)}), source);
  };
  for (int n = 0; n < 18; ++n)
    add(n, "textfile");
  CHECK_FALSE(table.is_tight("textfile"));
  add(18, "textfile");
  CHECK(table.is_tight("textfile"));
  CHECK_FALSE(table.is_tight("nvml"));
  for (int source = 0; source < 4; ++source) {
    for (int n = 0; n < 18; ++n)
      add(100 * source + 1000 + n, std::to_string(source));
  }
  CHECK(table.is_tight("nvml"));
}

TEST_CASE("a series is used when it is identified") {
  SeriesTable table({100, 100}, {});
  table.set_now(5);
  const SeriesId id = *table.identify(one_label, label_values({"a"}));
  CHECK(table[id].used_ns == 5);
  table.set_now(7);
  (void)table.identify(one_label, label_values({"a"}));
  CHECK(table[id].used_ns == 7);
  table.set_now(9);
  (void)table.adopt(one_label, R"(sensor="a")");
  CHECK(table[id].used_ns == 9);
}

TEST_CASE("a series has one identity while it is in the table") {
  std::vector<std::string> made;
  SeriesTable table({100, 100}, [&](SeriesId, const SeriesTable::Series& series) { made.push_back(series.labels); });
  const auto first = table.identify(one_label, label_values({"temp1"}));
  REQUIRE(first);
  CHECK(table.identify(one_label, label_values({"temp1"})) == first);
  CHECK(table.adopt(one_label, R"(sensor="temp1")") == first);
  CHECK(table[*first].metric == &one_label);
  CHECK(made == std::vector<std::string>{R"(sensor="temp1")"});

  SUBCASE("values that differ only in what cleaning removes are one series") {
    const auto invalid = table.identify(one_label, label_values({"t\xFFz"}));
    CHECK(table.identify(one_label, label_values({"t\xFEz"})) == invalid);
    CHECK(table.identify(one_label, label_values({"t\xEF\xBF\xBDz"})) == invalid);
    const std::string longer(300, 'x');
    CHECK(table.identify(one_label, label_values({longer})) == table.identify(one_label, label_values({longer + "y"})));
    CHECK(table.size() == 3);
  }
  SUBCASE("different values, or the same value in another label, are different series") {
    std::set<SeriesId> ids;
    for (const auto& values :
         {label_values({"a", "b"}), label_values({"b", "a"}), label_values({"ab", ""}), label_values({"", "ab"})}) {
      ids.insert(*table.identify(two_labels, values));
    }
    CHECK(ids.size() == 4);
  }
}

TEST_CASE("over the limit new series are refused and counted; known ones continue") {
  SeriesTable table({3, 3}, {});
  for (const char* sensor : {"a", "b", "c"})
    REQUIRE(table.identify(one_label, label_values({sensor})));
  for (int i = 0; i < 5; ++i)
    CHECK_FALSE(table.identify(one_label, label_values({"d"})));
  CHECK(table.size() == 3);
  CHECK(table.refused() == 5);
  CHECK(table.identify(one_label, label_values({"b"})));
  CHECK(table.refused() == 5);
}
