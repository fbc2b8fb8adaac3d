#include "daemon/record/ledger.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <string>

#include "collectors/power/metrics.hpp"

using namespace perjoule;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t wall_start_ms = 1'795'424'400'000;
constexpr double watts_max = 400;

__extension__ using Wide = __int128;

Stamp at(std::int64_t steady_ns) {
  return {steady_ns, wall_start_ms + steady_ns / 1'000'000};
}

Reading counter(std::uint64_t raw, std::uint64_t wrap = 0, double rate_max = watts_max) {
  Reading reading;
  reading.metric = &cpu_package_energy;
  reading.form = Reading::Form::meter;
  reading.raw = raw;
  reading.wrap = wrap;
  reading.rate_max = rate_max;
  return reading;
}

Reading power(double watts, double rate_max = watts_max) {
  Reading reading;
  reading.metric = &cpu_package_energy;
  reading.form = Reading::Form::integral;
  reading.value = watts;
  reading.rate_max = rate_max;
  return reading;
}

// The rows as a file keeps them: changed rows replace the old ones.
struct Kept {
  std::map<std::string, storage::TotalRow> totals;
  std::map<std::string, storage::MeterRow> meters;
  void take(const storage::LedgerRows& rows) {
    for (const std::string& key : rows.expired) {
      totals.erase(key);
      meters.erase(key);
    }
    for (const auto& row : rows.totals)
      totals[row.key] = row;
    for (const auto& row : rows.meters)
      meters[row.key] = row;
  }
  [[nodiscard]] storage::LedgerRows rows() const {
    storage::LedgerRows all;
    for (const auto& [key, row] : totals)
      all.totals.push_back(row);
    for (const auto& [key, row] : meters)
      all.meters.push_back(row);
    return all;
  }
};

}  // namespace

TEST_CASE("of families with labels that users choose only the totals that were read last are kept") {
  const auto of_jobs = [](std::string_view family) { return family == "jobs"; };
  const auto key = [](int job) { return "jobs{job=\"" + std::to_string(job) + "\"}"; };
  Ledger ledger({}, "boot");
  Kept file;
  const EntryId other = ledger.entry("energy{}");
  ledger.meter(other, counter(0), at(0));
  for (int job = 0; job < 100; ++job)
    ledger.meter(ledger.entry(key(job)), counter(1), at(job * second_ns));
  const EntryId first = ledger.entry(key(0));
  ledger.book(first, 7);
  file.take(ledger.take_changed());
  CHECK(ledger.expire(of_jobs, 100, INT64_MIN, {}) == 0);
  CHECK(ledger.expire(of_jobs, 40, INT64_MIN, {first}) == 60);
  CHECK(ledger.size() == 41);
  CHECK(ledger.total(first) == 7);
  file.take(ledger.take_changed());
  CHECK(file.totals.size() == 41);
  CHECK(file.meters.size() == 41);
  CHECK(file.totals.contains(key(0)));
  CHECK_FALSE(file.totals.contains(key(60)));
  CHECK(file.totals.contains(key(61)));
  // By age; the total of another family stays, however old.
  CHECK(ledger.expire(of_jobs, 40, wall_start_ms + 90'000, {first}) == 29);
  CHECK(ledger.size() == 12);
  // A deleted total that comes back begins at zero, in the place of any.
  const EntryId again = ledger.entry(key(70));
  CHECK(ledger.total(again) == 0);
  ledger.book(again, 3);
  file.take(ledger.take_changed());
  CHECK(file.totals.at(key(70)).millionths == 3);
  CHECK(file.totals.size() == 13);
  CHECK(file.totals.at("energy{}").key == "energy{}");
}

TEST_CASE("expired totals are named once, and only those that were offered: the sink keeps them if its commit fails") {
  const auto all = [](std::string_view) { return true; };
  Ledger ledger({}, "boot");
  Kept file;
  ledger.meter(ledger.entry("a"), counter(1), at(0));
  ledger.meter(ledger.entry("b"), counter(1), at(second_ns));
  file.take(ledger.take_changed());
  ledger.meter(ledger.entry("a"), counter(2), at(0));
  CHECK(ledger.take_changed().meters.size() == 1);  // this commit fails
  CHECK(ledger.expire(all, 1, INT64_MIN, {}) == 1);
  ledger.restore();
  CHECK(ledger.take_changed().expired == std::vector<std::string>{"a"});  // so does this one
  file.take({.expired = {"a"}});
  ledger.restore();
  ledger.meter(ledger.entry("c"), counter(1), at(0));
  CHECK(ledger.expire(all, 1, INT64_MIN, {}) == 1);
  const storage::LedgerRows rows = ledger.take_changed();
  CHECK(rows.expired.empty());
  CHECK(rows.totals.empty());
  const EntryId again = ledger.entry("a");
  ledger.book(again, 9);
  file.take(ledger.take_changed());
  CHECK(file.totals.size() == 2);
  CHECK(file.totals.at("a").millionths == 9);
  CHECK_FALSE(file.meters.contains("a"));
}

TEST_CASE("the first reading is only a base; afterwards the counter's increments are booked") {
  Ledger ledger({}, "boot");
  const EntryId id = ledger.entry("e");
  CHECK(ledger.meter(id, counter(1'000'000), at(0)).interval_us == 0);
  CHECK(ledger.total(id) == 0);
  const Ledger::Booking booking = ledger.meter(id, counter(1'250'000), at(second_ns));
  CHECK(booking.millionths == 250'000);
  CHECK(booking.interval_us == 1'000'000);
  CHECK(booking.unobserved_us == 0);
  CHECK(ledger.total(id) == 250'000);
}

// Raw counters that wrap and restart, a daemon that is killed between commits, hosts that reboot: booked energy and
// unobserved time must agree with the truth at every step.
TEST_CASE("random wraps, restarts and reboots conserve energy") {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    const auto chance = [&](unsigned percent) { return random() % 100 < percent; };
    const std::uint64_t wrap = seed % 3 == 0 ? 0 : 80'000'000'000 + random() % 1000;
    std::int64_t now_ns = second_ns;
    std::uint64_t raw = random() % 1'000'000'000;
    int boot = 0;
    Kept kept;
    std::int64_t lived_us = 0;     // time between readings, across kills too
    std::int64_t truth_uj = 0;     // energy used in intervals that the ledger must bridge
    std::int64_t expected_uj = 0;  // energy that must be booked
    std::int64_t unobserved_us = 0;
    std::int64_t observed_us = 0;
    auto ledger = std::make_unique<Ledger>(kept.rows(), "boot-0");
    (void)ledger->meter(ledger->entry("e"), counter(raw, wrap), at(now_ns));
    kept.take(ledger->take_changed());
    for (int tick = 0; tick < 300; ++tick) {
      // Up to a minute: below a wrap at full power, so that the raw delta is never ambiguous.
      const auto interval_us = static_cast<std::int64_t>(1 + random() % 60'000'000);
      const auto used_uj =
          static_cast<std::uint64_t>(static_cast<double>(interval_us) * static_cast<double>(random() % 400));
      now_ns += interval_us * 1000;
      lived_us += interval_us;
      truth_uj += static_cast<std::int64_t>(used_uj);
      bool bridged = true;
      if (chance(4)) {  // the host reboots: the steady clock and the counter start again
        kept.take(ledger->take_changed());
        ++boot;
        raw = random() % 1000;
        bridged = false;
        ledger = std::make_unique<Ledger>(kept.rows(), "boot-" + std::to_string(boot));
      } else {
        raw = wrap > 0 ? (raw + used_uj) % (wrap + 1) : raw + used_uj;
        if (chance(10)) {  // the daemon is killed after a commit, and starts again
          kept.take(ledger->take_changed());
          ledger = std::make_unique<Ledger>(kept.rows(), "boot-" + std::to_string(boot));
        }
      }
      const EntryId id = ledger->entry("e");
      const Ledger::Booking booking = ledger->meter(id, counter(raw, wrap), at(now_ns));
      if (bridged) {
        REQUIRE(booking.millionths == static_cast<std::int64_t>(used_uj));
        expected_uj += static_cast<std::int64_t>(used_uj);
        observed_us += booking.interval_us;
      } else {
        REQUIRE(booking.millionths == 0);
        REQUIRE(booking.unobserved_us > 0);
      }
      unobserved_us += booking.unobserved_us;
      REQUIRE(ledger->total(id) == expected_uj);
      REQUIRE(expected_uj <= truth_uj);
    }
    // Every microsecond is observed or counted as unobserved; across a boot the wall clock counts, in milliseconds.
    CHECK(std::abs(observed_us + unobserved_us - lived_us) <= 1000 * (boot + 1));
  }
}

TEST_CASE("the time of a restart, a jump or a possible second wrap is unobserved") {
  Ledger ledger({}, "boot");
  const EntryId id = ledger.entry("e");
  const std::uint64_t wrap = 10'000'000;  // 25 ms at 400 W
  (void)ledger.meter(id, counter(5'000'000), at(0));
  // A fall or a jump is held until the next read shows what it was.
  const auto is_held = [](const Ledger::Booking& booking) {
    return booking.verdict == GateVerdict::held && booking.refused && booking.millionths == 0 &&
           booking.unobserved_us == 0;
  };
  CHECK(is_held(ledger.meter(id, counter(10), at(second_ns))));
  const Ledger::Booking restarted = ledger.meter(id, counter(30), at(2 * second_ns));
  CHECK(restarted.reset);
  CHECK(restarted.millionths == 20);
  CHECK(restarted.unobserved_us == 1'000'000);
  CHECK(restarted.interval_us == 2'000'000);
  CHECK(is_held(ledger.meter(id, counter(900'000'000'000), at(3 * second_ns))));
  const Ledger::Booking jumped = ledger.meter(id, counter(900'000'000'007), at(4 * second_ns));
  CHECK(jumped.reset);
  CHECK(jumped.millionths == 7);
  CHECK(jumped.unobserved_us == 1'000'000);
  CHECK(is_held(ledger.meter(id, counter(10), at(5 * second_ns))));
  (void)ledger.meter(id, counter(20), at(6 * second_ns));
  const Ledger::Booking wrapped_twice = ledger.meter(id, counter(30, wrap), at(7 * second_ns));
  CHECK_FALSE(wrapped_twice.reset);
  CHECK(wrapped_twice.unobserved_us == 1'000'000);
  CHECK(ledger.total(id) == 37);
}

TEST_CASE("integrated power is exact: remainders below a microjoule are carried") {
  std::mt19937_64 random(31);
  for (int round = 0; round < 100; ++round) {
    Ledger ledger({}, "boot");
    const EntryId id = ledger.entry("e");
    std::int64_t now_us = 1'000'000;
    std::int64_t before_uw = 0;
    Wide doubled_picojoules = 0;
    for (int tick = 0; tick < 500; ++tick) {
      const auto microwatts = static_cast<std::int64_t>(random() % 400'000'000);
      const auto interval_us = static_cast<std::int64_t>(1 + random() % 2'400'000);
      now_us += interval_us;
      const auto booking =
          ledger.integrate(id, power(static_cast<double>(microwatts) / 1e6), at(now_us * 1000), second_ns);
      CHECK(booking.unobserved_us == 0);
      if (tick > 0) doubled_picojoules += Wide{before_uw + microwatts} * interval_us;
      before_uw = microwatts;
      // Each step drops at most half a picojoule, where the sum of both powers is odd.
      const auto truth_uj = static_cast<std::int64_t>(doubled_picojoules / 2'000'000);
      REQUIRE(std::abs(ledger.total(id) - truth_uj) <= 1);
    }
  }
  SUBCASE("a constant milliwatt for a day") {
    Ledger ledger({}, "boot");
    const EntryId id = ledger.entry("e");
    for (std::int64_t tick = 0; tick <= 864'000; ++tick)
      (void)ledger.integrate(id, power(0.000001), at(tick * second_ns / 10), second_ns / 10);
    CHECK(ledger.total(id) == 86'400);
  }
}

TEST_CASE("in a longer gap of integrated power the last value is held for thirty seconds at most") {
  Ledger ledger({}, "boot");
  const EntryId id = ledger.entry("e");
  (void)ledger.integrate(id, power(100), at(0), second_ns);
  const auto edge = ledger.integrate(id, power(200), at(5 * second_ns / 2), second_ns);
  CHECK(edge.millionths == 375'000'000);
  const auto held = ledger.integrate(id, power(50), at(5 * second_ns / 2 + 10 * second_ns), second_ns);
  CHECK(held.millionths == 2'000'000'000);
  CHECK(held.unobserved_us == 0);
  const auto cut = ledger.integrate(id, power(50), at(5 * second_ns / 2 + 110 * second_ns), second_ns);
  CHECK(cut.millionths == 1'500'000'000);
  CHECK(cut.unobserved_us == 70'000'000);
}

TEST_CASE("implausible power changes nothing, and the next good reading bridges it") {
  Ledger ledger({}, "boot");
  const EntryId id = ledger.entry("e");
  (void)ledger.integrate(id, power(100), at(0), second_ns);
  // The gate is 1.5 x 400 W.
  for (double bad : {-1.0, 600.1, 4294967.295, std::nan(""), HUGE_VAL, -HUGE_VAL}) {
    const auto booking = ledger.integrate(id, power(bad), at(second_ns), second_ns);
    CHECK(booking.refused);
    CHECK(booking.millionths == 0);
  }
  CHECK(ledger.integrate(id, power(100), at(2 * second_ns), second_ns).millionths == 200'000'000);
}

TEST_CASE("across a restart a counter is bridged and integrated power is not") {
  Kept kept;
  {
    Ledger ledger({}, "boot");
    (void)ledger.meter(ledger.entry("counter"), counter(100), at(0));
    (void)ledger.integrate(ledger.entry("power"), power(100), at(0), second_ns);
    kept.take(ledger.take_changed());
  }
  SUBCASE("of the daemon") {
    Ledger ledger(kept.rows(), "boot");
    CHECK(ledger.meter(ledger.entry("counter"), counter(700), at(second_ns)).millionths == 600);
    const auto booking = ledger.integrate(ledger.entry("power"), power(100), at(second_ns), second_ns);
    CHECK(booking.millionths == 0);
    CHECK(booking.unobserved_us == 1'000'000);
    CHECK(ledger.integrate(ledger.entry("power"), power(100), at(2 * second_ns), second_ns).millionths == 100'000'000);
  }
  SUBCASE("of the host: the wall clock measures the gap; a clock that went back gives 0") {
    Ledger ledger(kept.rows(), "another boot");
    const auto booking = ledger.meter(ledger.entry("counter"), counter(700), {second_ns, wall_start_ms + 90'000});
    CHECK(booking.millionths == 0);
    CHECK(booking.unobserved_us == 90'000'000);
    const auto back = ledger.integrate(ledger.entry("power"), power(1), {second_ns, wall_start_ms - 5'000}, second_ns);
    CHECK(back.unobserved_us == 0);
  }
}

TEST_CASE("changed rows are returned once, and again when the commit failed") {
  Ledger ledger({}, "boot");
  const EntryId first = ledger.entry("a");
  ledger.book(first, 5);
  (void)ledger.meter(ledger.entry("b"), counter(1), at(0));
  storage::LedgerRows rows = ledger.take_changed();
  CHECK(rows.totals.size() == 2);
  REQUIRE(rows.meters.size() == 1);
  CHECK(rows.meters[0].boot_id == "boot");
  CHECK(ledger.take_changed().totals.empty());

  ledger.book(first, 7);
  ledger.book(first, 0);
  ledger.book(first, -3);
  rows = ledger.take_changed();
  REQUIRE(rows.totals.size() == 1);
  CHECK(rows.totals[0].millionths == 12);
  ledger.book(first, 1);
  ledger.restore();
  rows = ledger.take_changed();
  REQUIRE(rows.totals.size() == 1);
  CHECK(rows.totals[0].key == "a");
  CHECK(rows.totals[0].millionths == 13);
  CHECK(ledger.take_changed().totals.empty());
}

TEST_CASE("failing commits in any order lose no row") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    std::mt19937_64 random(seed);
    Ledger ledger({}, "boot");
    Kept kept;
    for (int step = 0; step < 400; ++step) {
      const std::string key(1, static_cast<char>('a' + random() % 6));
      const EntryId id = ledger.entry(key);
      if (random() % 2 == 0) {
        ledger.book(id, static_cast<std::int64_t>(random() % 100));
      } else {
        (void)ledger.meter(id, counter(static_cast<std::uint64_t>(step) * 10), at(step * second_ns));
      }
      if (random() % 4 != 0) continue;
      const storage::LedgerRows rows = ledger.take_changed();
      if (random() % 3 == 0) {
        ledger.restore();
      } else {
        kept.take(rows);
      }
    }
    kept.take(ledger.take_changed());
    const Ledger loaded(kept.rows(), "boot");
    for (const std::string& key : ledger.keys(""))
      CHECK(kept.totals.at(key).millionths == ledger.total(ledger.entry(key)));
    CHECK(loaded.size() == ledger.size());
  }
}

TEST_CASE("the ledger starts from the loaded rows, whatever values they have") {
  storage::LedgerRows rows;
  rows.totals = {{"m{a=\"1\"}", 41}, {"m{a=\"2\"}", -9}, {"n{a=\"1\"}", 7}};
  rows.meters = {{"only a meter", "boot", 100, 0, wall_start_ms, 0}};
  Ledger ledger(rows, "boot");
  CHECK(ledger.take_changed().totals.empty());
  CHECK(ledger.total(ledger.entry("m{a=\"1\"}")) == 41);
  CHECK(ledger.total(ledger.entry("m{a=\"2\"}")) == 0);
  CHECK(ledger.keys("m{") == std::vector<std::string>{"m{a=\"1\"}", "m{a=\"2\"}"});
  CHECK(ledger.meter(ledger.entry("only a meter"), counter(150), at(second_ns)).millionths == 50);
}

TEST_CASE("states: returned once per change, again when the commit failed, and found by prefix") {
  storage::LedgerRows loaded;
  loaded.states = {{"alert/a", "firing"}, {"inventory/x", "0"}};
  Ledger ledger(loaded, "boot");
  CHECK(ledger.take_changed().states.empty());
  ledger.set_state("alert/a", "firing");
  CHECK(ledger.take_changed().states.empty());
  ledger.set_state("alert/a", "");
  ledger.set_state("alert/b", "pending");
  ledger.set_state("alert/never", "");
  CHECK(ledger.states("alert/") == std::map<std::string, std::string>{{"alert/b", "pending"}});
  CHECK(ledger.states("") == std::map<std::string, std::string>{{"alert/b", "pending"}, {"inventory/x", "0"}});
  for (int attempt = 0; attempt < 2; ++attempt) {
    const storage::LedgerRows rows = ledger.take_changed();
    REQUIRE(rows.states.size() == 2);
    CHECK(rows.states[0].key == "alert/a");
    CHECK(rows.states[0].text.empty());
    CHECK(rows.states[1].text == "pending");
    if (attempt == 0) ledger.restore();
  }
  CHECK(ledger.take_changed().states.empty());
}
