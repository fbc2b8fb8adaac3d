#include "daemon/query/series_filter.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace perjoule::query {
namespace {

Matcher made(MatchType type, std::string name, std::string value) {
  auto matcher = make_matcher(type, std::move(name), std::move(value));
  REQUIRE(matcher.has_value());
  return *matcher;
}

// 1000 series of 8 GPUs.
std::vector<Labels> many() {
  std::vector<Labels> series;
  for (int n = 0; n < 1000; ++n)
    series.push_back({{"gpu", std::to_string(n % 8)}, {"n", std::to_string(n)}});
  return series;
}

}  // namespace

TEST_CASE("series filter: each distinct value is matched once, and compared labels spare the matching") {
  const std::vector<Labels> series = many();
  int asked = 0;
  const std::function<bool()> late = [&asked] {
    ++asked;
    return false;
  };
  const std::vector matchers = {made(MatchType::regex, "gpu", "[0-3]"), made(MatchType::not_regex, "absent", ".+")};
  SeriesFilter filter(matchers, late);
  int admitted = 0;
  for (const Labels& labels : series)
    admitted += filter.admits(labels) ? 1 : 0;
  CHECK(admitted == 500);
  CHECK(asked == 8 + 1);  // the deadline is checked before each match: 8 values of gpu, and the absent one

  asked = 0;
  const std::vector narrow = {made(MatchType::regex, "gpu", ".*"), made(MatchType::equal, "n", "17")};
  SeriesFilter one(narrow, late);
  admitted = 0;
  for (const Labels& labels : series)
    admitted += one.admits(labels) ? 1 : 0;
  CHECK(admitted == 1);
  CHECK(asked == 1);
}

TEST_CASE("series filter: it agrees with match_all, and stops at the deadline") {
  const std::vector<Labels> series = many();
  const std::vector matchers = {made(MatchType::regex, "gpu", "1|5"), made(MatchType::not_regex, "n", ".*[02468]1"),
                                made(MatchType::not_equal, "n", "5")};
  const std::function<bool()> never;
  SeriesFilter filter(matchers, never);
  for (const Labels& labels : series)
    CHECK(filter.admits(labels) == match_all(matchers, labels));
  CHECK_FALSE(filter.stopped());

  int left = 10;
  const std::function<bool()> late = [&left] { return --left < 0; };
  SeriesFilter stopping(matchers, late);
  for (const Labels& labels : series)
    (void)stopping.admits(labels);
  CHECK(stopping.stopped());
  CHECK(left == -1);  // not asked again
}

}  // namespace perjoule::query
