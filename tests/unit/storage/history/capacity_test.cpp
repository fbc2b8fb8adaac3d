#include "storage/history/capacity.hpp"

#include <doctest/doctest.h>

#include "storage/codec/rollup.hpp"
#include "tests/unit/storage/history/history.hpp"
#include "tests/unit/storage/history/history_file.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

using Spans = PerResolution<std::int64_t>;

TEST_CASE("capacity: the reach is the age if the budget suffices, otherwise what the share holds") {
  constexpr std::int64_t day_ms = 24 * hour_ms;
  const Spans ages = {10 * day_ms, 100 * day_ms, 1000 * day_ms};
  // The resolutions need 240, 24 and 2.4 bytes a day.
  const PerResolution<double> per_hour = {10, 1, 0.1};
  CHECK(reach_ms(per_hour, ages, 1'000'000) == ages);
  CHECK(reach_ms(per_hour, ages, INT64_MAX) == ages);
  CHECK(reach_ms(per_hour, {0, 0, 0}, INT64_MAX) == Spans{0, 0, 0});
  CHECK(reach_ms(per_hour, {0, 0, 0}, 8 * 240) == Spans{4 * day_ms, 30 * day_ms, 100 * day_ms});
  // The minutes lend 240 of their 720 bytes to the others, four parts to raw samples and one to hours.
  CHECK(reach_ms(per_hour, {0, 20 * day_ms, 0}, 8 * 240) ==
        Spans{1440 * 8 / 10 * hour_ms / 10, 20 * day_ms, 1440 * 2 / 10 * hour_ms * 10});
}

TEST_CASE("capacity: without data nothing is limited") {
  CHECK(reach_ms({0, 0, 0}, {hour_ms, 0, hour_ms}, 1000) == Spans{hour_ms, 0, hour_ms});
  CHECK(reach_ms({5, 0, 0}, {0, 0, 0}, 1000) == Spans{200 * hour_ms, 0, 0});
}

TEST_CASE("capacity: the reach that a store predicts comes true") {
  Scratch scratch;
  auto store = open_store(scratch / "history.db");
  RandomHistory history(4, 2, 60'000);
  constexpr RetentionPolicy policy{.bytes_max = 1500 * 1024};
  std::optional<Spans> told;
  for (int n = 0; n < 12000; ++n) {
    REQUIRE(store->append(history.next_frame(3)));
    REQUIRE(store->seal());
    while (*store->retain(policy)) {
    }
    const auto size = store->size();
    REQUIRE(size);
    if (history.now_ms() < history_start_ms + hour_ms) CHECK_FALSE(size->reach_ms);
    if (!told && history.now_ms() > history_start_ms + 4 * hour_ms) told = size->reach_ms;
  }
  REQUIRE(told);
  const auto reached_ms = [&](const char* sql) { return history.now_ms() - number(scratch / "history.db", sql); };
  const double raw = static_cast<double>(reached_ms("SELECT (min(k) >> 24) * 900000 FROM chunk"));
  const double minutes = static_cast<double>(reached_ms("SELECT (min(k) >> 24) * 900000 FROM roll_1m"));
  CHECK(raw / static_cast<double>((*told)[0]) == doctest::Approx(1).epsilon(0.1));
  CHECK(minutes / static_cast<double>((*told)[1]) == doctest::Approx(1).epsilon(0.1));
  CHECK(store->size()->expired_samples > 0);
}

}  // namespace perjoule::storage
