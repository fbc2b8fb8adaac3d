#include "daemon/efficiency/gpu_account.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace perjoule;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t second_us = 1'000'000;
constexpr std::int64_t minute_ns = 60 * second_ns;

}  // namespace

TEST_CASE("the floor of a GPU that works most of the time is learned within two watts") {
  std::mt19937_64 random(11);
  std::normal_distribution<double> noise(0, 1.2);
  for (const double truth : {24.0, 69.7, 131.5}) {
    GpuAccount account(GpuState::active, IdleFloor{});
    std::int64_t now_ns = 0;
    std::optional<double> floor;
    for (int hour = 0; hour < 12; ++hour) {
      for (int second = 0; second < 3600; ++second) {
        now_ns += second_ns;
        // Ten minutes of deep idle in each hour, at first still warm; otherwise work, or a process that waits.
        const bool is_idle = second < 600;
        const double warm = second < 90 ? 15 : 0;
        const double watts =
            is_idle ? truth + warm + std::abs(noise(random)) : 120 + static_cast<double>(random() % 500);
        GpuReading reading{is_idle ? 0.0 : 0.9, {}, is_idle ? 0.0 : 1.0, is_idle, watts, 700};
        const auto booked = static_cast<std::int64_t>(watts * 1e6);
        (void)account.add({booked, second_us, 0}, reading, now_ns, minute_ns, {});
        floor = account.floor().watts();
      }
    }
    REQUIRE(floor);
    CHECK(*floor >= truth - 2);
    CHECK(*floor <= truth + 2);
  }
}

TEST_CASE("the floor is unknown until five minutes of deep idle are counted, and survives as a string") {
  IdleFloor floor;
  CHECK_FALSE(floor.watts());
  for (int second = 0; second < 298; ++second)
    floor.add(70.4, 1);
  CHECK_FALSE(floor.watts());
  for (int second = 0; second < 4; ++second)
    floor.add(300, 1);
  CHECK(floor.watts().value_or(0) == doctest::Approx(70.5).epsilon(0.01));
  const IdleFloor again = IdleFloor::from(floor.text());
  CHECK(again.watts().value_or(0) == doctest::Approx(*floor.watts()).epsilon(0.001));
  CHECK(again.text() == floor.text());

  SUBCASE("power that no GPU can draw is not counted") {
    const std::string before = floor.text();
    for (const double watts : {-1.0, 2000.0, 1e300, std::numeric_limits<double>::quiet_NaN()})
      floor.add(watts, 1000);
    floor.add(10, 0);
    floor.add(10, -5);
    CHECK(floor.text() == before);
  }
  SUBCASE("old time loses weight: after some days a lower power, from a new driver, becomes the floor") {
    for (int hour = 0; hour < 24 * 40; ++hour)
      floor.add(40, 3600);
    CHECK(floor.watts().value_or(0) == doctest::Approx(40).epsilon(0.03));
    for (int hour = 0; hour < 24 * 60; ++hour)
      floor.add(80, 3600);
    CHECK(floor.watts().value_or(0) >= 80);
  }
}

TEST_CASE("the saved floor: from hostile bytes only what can be read is taken") {
  for (const char* text : {"", " ", ":", "70", "70:", "70:x", "x:1", "-1:5", "99999999999:1", "2000:1", "70:nan",
                           "70:inf", "70:-5", "70:1e400", "\xff\xfe"}) {
    CAPTURE(text);
    CHECK_FALSE(IdleFloor::from(text).watts());
    CHECK(IdleFloor::from(text).text().empty());
  }
  CHECK(IdleFloor::from("70:400 71:x").watts().value_or(0) >= 70);
  std::mt19937_64 random(5);
  for (int run = 0; run < 20'000; ++run) {
    std::string text;
    for (std::uint64_t i = random() % 20; i > 0; --i)
      text += "0123456789:. e-+\xff"[random() % 17];
    const IdleFloor floor = IdleFloor::from(text);
    CHECK(IdleFloor::from(floor.text()).text() == floor.text());
  }
}

TEST_CASE("waste is the energy above the floor while a GPU is parked or in execution_idle") {
  GpuAccount account(GpuState::parked, IdleFloor{});
  const GpuReading parked{0.0, {}, 1.0, true, 120.0, 700.0};
  const GpuAccount::Entry entry = account.add({120 * second_us, second_us, 0}, parked, second_ns, minute_ns, 70);
  CHECK(entry.state == GpuState::parked);
  CHECK(entry.waste_uj == 50 * second_us);
  CHECK(entry.waste_watts == 50);
  const GpuReading active{1.0, {}, 1.0, false, 600.0, 700.0};
  const GpuAccount::Entry busy = account.add({600 * second_us, second_us, 0}, active, 2 * second_ns, minute_ns, 70);
  CHECK(busy.waste_uj == 0);
  CHECK(busy.waste_watts == 0);
  const GpuAccount::Entry unknown = account.add({600 * second_us, second_us, 0}, active, 3 * second_ns, minute_ns, {});
  CHECK(unknown.waste_uj == 0);
}

TEST_CASE("asleep: its time is counted while it lasts, and the energy read after it is its own") {
  GpuAccount account(GpuState::active, IdleFloor{});
  const GpuReading busy{0.9, {}, 1.0, false, 600.0, 700.0};
  std::int64_t now_ns = 0;
  const auto awake = [&](std::int64_t seconds, std::int64_t joules) {
    now_ns += seconds * second_ns;
    return account.add({joules * second_us, seconds * second_us, 0}, busy, now_ns, minute_ns, 70);
  };
  CHECK(awake(1, 600).state == GpuState::active);
  std::int64_t asleep_us = 0;
  for (int second = 0; second < 100; ++second) {
    now_ns += second_ns;
    const GpuAccount::Entry entry = account.suspended(now_ns);
    CHECK(entry.state == GpuState::asleep);
    CHECK(entry.energy_uj == 0);
    asleep_us += entry.time_us;
  }
  CHECK(asleep_us == 100 * second_us);
  now_ns -= 100 * second_ns;
  const GpuAccount::Entry woken = awake(101, 250);
  CHECK(woken.state == GpuState::asleep);
  CHECK(woken.time_us == second_us);  // the rest of the interval was counted while it lasted
  CHECK(woken.energy_uj == 250 * second_us);
  CHECK(awake(1, 600).state == GpuState::active);
}

TEST_CASE("a GPU about which the driver says nothing that decides has no state, and keeps its first minute for one") {
  GpuAccount account({}, IdleFloor{});
  GpuReading silent;
  silent.watts = 82;
  std::int64_t now_ns = 0;
  const auto tick = [&](const GpuReading& reading) {
    now_ns += second_ns;
    return account.add({82 * second_us, second_us, 0}, reading, now_ns, minute_ns, {});
  };
  for (int second = 0; second < 30; ++second)
    CHECK_FALSE(tick(silent).state);
  GpuReading idle = silent;
  idle.clock_idle = true;
  idle.processes = 0;
  const GpuAccount::Entry first = tick(idle);
  CHECK(first.state == GpuState::active);
  CHECK(first.time_us == 31 * second_us);
  CHECK(first.energy_uj == 31 * 82 * second_us);
  for (int second = 0; second < 70; ++second)
    (void)tick(idle);
  CHECK(account.state() == GpuState::deep_idle);
  for (int second = 0; second < 70; ++second)
    (void)tick(silent);
  CHECK_FALSE(account.state());
}

TEST_CASE("the peak of the last five minutes, with a resolution of ten seconds") {
  RecentPeak peak;
  CHECK_FALSE(peak.largest(0));
  for (std::int64_t second = 0; second < 600; ++second)
    peak.add(second == 100 ? 650 : 300 + static_cast<double>(second % 10), second * second_ns);
  CHECK(peak.largest(600 * second_ns) == 309);
  peak.add(650, 600 * second_ns);
  CHECK(peak.largest(880 * second_ns) == 650);
  CHECK_FALSE(peak.largest(900 * second_ns));
}

TEST_CASE("agreement: a counter that is a fifth too low is detected after ten minutes and not before") {
  for (const double gain : {1.0, 0.8, 1.25}) {
    Agreement agreement;
    std::int64_t now_ns = 0;
    for (int second = 0; second < 1200; ++second) {
      now_ns += second_ns;
      const double watts = second % 60 < 30 ? 600 : 100;
      agreement.add(static_cast<std::int64_t>(watts * gain * 1e6), second_us, watts, now_ns);
      const auto ratio = agreement.ratio(now_ns);
      CHECK(ratio.has_value() == (second >= 540));
      if (ratio) CHECK(*ratio == doctest::Approx(gain).epsilon(0.02));
    }
    CHECK_FALSE(agreement.ratio(now_ns + 20 * minute_ns));
    Agreement silent;
    for (int second = 0; second < 1200; ++second)
      silent.add(1000, second_us, {}, second * second_ns);
    CHECK_FALSE(silent.ratio(1200 * second_ns));
  }
}
