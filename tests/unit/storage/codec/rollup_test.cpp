#include "storage/codec/rollup.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <random>

namespace perjoule::storage {

namespace {

constexpr std::int64_t day_ms = 1'795'392'000'000;  // a midnight
constexpr std::int64_t slot_ms = 900'000;

struct Series {
  std::vector<std::int64_t> stamps_ms;
  std::vector<double> values;
  std::vector<std::uint8_t> present;

  void add(std::int64_t stamp_ms, double value, bool is_there = true) {
    stamps_ms.push_back(stamp_ms);
    values.push_back(value);
    present.push_back(is_there ? 1 : 0);
  }
};

// As the sealer does: slot by slot, parts with the same start merged.
std::vector<Bucket> rolled_up(const Series& series, std::int64_t width_ms, std::int64_t hold_ms, bool counter,
                              std::int64_t slot_width_ms = slot_ms) {
  const Rollup rollup(width_ms, hold_ms);
  std::optional<Carried> before;
  std::vector<Bucket> all;
  std::size_t at = 0;
  // Includes slots without a sample, because a value may hold into one.
  for (std::int64_t from_ms = series.stamps_ms[0] / slot_width_ms * slot_width_ms;
       from_ms <= series.stamps_ms.back() + hold_ms; from_ms += slot_width_ms) {
    std::size_t end = at;
    while (end < series.stamps_ms.size() && series.stamps_ms[end] < from_ms + slot_width_ms)
      ++end;
    std::vector<Bucket> buckets;
    const auto part = [&](const auto& column) { return std::span(column).subspan(at, end - at); };
    rollup.add({from_ms, from_ms + slot_width_ms, part(series.stamps_ms), part(series.values), part(series.present)},
               before, counter, buckets);
    for (const Bucket& bucket : buckets) {
      if (!all.empty() && all.back().start_ms == bucket.start_ms) {
        merge(all.back(), bucket);
      } else {
        all.push_back(bucket);
      }
    }
    at = end;
  }
  return all;
}

Series random_series(std::mt19937_64& random, bool counter) {
  Series series;
  std::int64_t stamp = day_ms + static_cast<std::int64_t>(random() % 100'000);
  double value = static_cast<double>(random() % 1000);
  const std::size_t count = 1 + random() % 4000;
  for (std::size_t n = 0; n < count; ++n) {
    series.add(stamp, value, random() % 20 != 0);
    stamp += random() % 300 == 0 ? static_cast<std::int64_t>(random() % 4'000'000)
                                 : static_cast<std::int64_t>(900 + random() % 200);
    if (!counter) value = static_cast<double>(random() % 1000);
    if (counter)
      value = random() % 500 == 0 ? static_cast<double>(random() % 10) : value + static_cast<double>(random() % 50);
  }
  return series;
}

double total(const std::vector<Bucket>& buckets, double Bucket::*member) {
  return std::accumulate(buckets.begin(), buckets.end(), 0.0,
                         [&](double sum, const Bucket& bucket) { return sum + bucket.*member; });
}

double integral(const std::vector<Bucket>& buckets) {
  return std::accumulate(buckets.begin(), buckets.end(), 0.0,
                         [](double sum, const Bucket& bucket) { return sum + bucket.mean * bucket.seconds; });
}

}  // namespace

TEST_CASE("rollup: a minute calculated by hand") {
  Series series;
  series.add(day_ms, 100);
  series.add(day_ms + 10'000, 200);
  series.add(day_ms + 40'000, 0, false);
  series.add(day_ms + 59'000, 50);
  series.add(day_ms + 61'000, 70);
  const auto minutes = rolled_up(series, minute_ms, 25'000, false);
  REQUIRE(minutes.size() == 2);
  CHECK(minutes[0].start_ms == day_ms);
  CHECK(minutes[0].min == 50);
  CHECK(minutes[0].max == 200);
  CHECK(minutes[0].last == 50);
  CHECK(minutes[0].count == 3);
  CHECK(minutes[0].increase == 0);
  // 100 for 10 s, 200 for the 25 s that it may hold, 50 for the last second.
  CHECK(minutes[0].seconds == doctest::Approx(36));
  CHECK(minutes[0].mean == doctest::Approx((100 * 10 + 200 * 25 + 50) / 36.0));
  // 50 holds one second into the next minute, 70 for 25 s; 50 is not counted as a sample of it.
  CHECK(minutes[1].min == 70);
  CHECK(minutes[1].seconds == doctest::Approx(26));
  CHECK(minutes[1].mean == doctest::Approx((50 + 70 * 25) / 26.0));
}

TEST_CASE("rollup: a counter that falls has restarted at 0, across minutes and slots") {
  Series series;
  const double values[] = {1000, 1010, 1030, 5, 15};
  for (std::size_t n = 0; n < std::size(values); ++n)
    series.add(day_ms + slot_ms - 90'000 + static_cast<std::int64_t>(n) * 45'000, values[n]);
  const auto minutes = rolled_up(series, minute_ms, 150'000, true);
  CHECK(total(minutes, &Bucket::increase) == 10 + 20 + 5 + 10);
  for (const Bucket& minute : minutes)
    CHECK(minute.seconds == doctest::Approx(minute.start_ms < day_ms + slot_ms - minute_ms ? 30 : 60));
}

TEST_CASE("rollup: NaN is a hole, infinity is not") {
  Series series;
  series.add(day_ms, std::numeric_limits<double>::quiet_NaN());
  CHECK(rolled_up(series, minute_ms, 2500, false).empty());
  series.add(day_ms + 1000, 3);
  series.add(day_ms + 2000, std::numeric_limits<double>::infinity());
  const auto minutes = rolled_up(series, minute_ms, 2500, false);
  REQUIRE(minutes.size() == 1);
  CHECK(minutes[0].count == 2);
  CHECK(minutes[0].min == 3);
  CHECK(minutes[0].max == std::numeric_limits<double>::infinity());
  CHECK(minutes[0].mean == std::numeric_limits<double>::infinity());
}

TEST_CASE("rollup: counts, extremes, integrals and increases do not depend on slots and width") {
  std::mt19937_64 random(17);
  for (int run = 0; run < 200; ++run) {
    const bool counter = run % 2 == 0;
    const Series series = random_series(random, counter);
    const auto minutes = rolled_up(series, minute_ms, 5000, counter);
    const auto hours = rolled_up(series, hour_ms, 5000, counter);
    const auto whole = rolled_up(series, hour_ms, 5000, counter, 24 * hour_ms);
    std::int64_t samples = 0;
    double increase = 0;
    double before = -1;
    for (std::size_t n = 0; n < series.values.size(); ++n) {
      if (series.present[n] == 0) continue;
      ++samples;
      if (counter && before >= 0) increase += series.values[n] >= before ? series.values[n] - before : series.values[n];
      before = series.values[n];
    }
    const auto counted = [](const std::vector<Bucket>& buckets) {
      return std::accumulate(buckets.begin(), buckets.end(), std::int64_t{0},
                             [](std::int64_t sum, const Bucket& bucket) { return sum + bucket.count; });
    };
    CAPTURE(run);
    CHECK(counted(minutes) == samples);
    CHECK(counted(hours) == samples);
    CHECK(total(minutes, &Bucket::increase) == increase);  // whole numbers: exact
    CHECK(total(hours, &Bucket::increase) == increase);
    CHECK(integral(hours) == doctest::Approx(integral(minutes)));
    CHECK(total(hours, &Bucket::seconds) == doctest::Approx(total(minutes, &Bucket::seconds)));
    REQUIRE(whole.size() == hours.size());
    for (std::size_t n = 0; n < hours.size(); ++n) {
      CHECK(hours[n].start_ms == whole[n].start_ms);
      CHECK(hours[n].min == whole[n].min);
      CHECK(hours[n].max == whole[n].max);
      CHECK(hours[n].last == whole[n].last);
      CHECK(hours[n].count == whole[n].count);
      CHECK(hours[n].mean == doctest::Approx(whole[n].mean));
      CHECK(hours[n].seconds <= 3600.0001);
    }
  }
}

}  // namespace perjoule::storage
