#include "daemon/record/meter_gate.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <string>

using namespace perjoule;

namespace {

constexpr std::int64_t second_us = 1'000'000;
constexpr std::uint64_t joule = 1'000'000;

// A counter that is read once a second, as the ledger reads it.
class Meter {
 public:
  explicit Meter(double rate_max, std::uint64_t wrap = 0) : rate_max_(rate_max), wrap_(wrap) {}

  // One letter per read: b booked, h held, t taken back, B believed, d dip, r refused, R restarted, a ambiguous.
  char read(double joules, std::int64_t seconds = 1) {
    at_us_ += seconds * second_us;
    const auto raw = static_cast<std::uint64_t>(std::llround(joules * 1e6));
    if (base_us_ < 0) return accept(raw, 'b');
    const GateStep step = gate_.count(base_, base_us_, {raw, wrap_, rate_max_, at_us_, 0, 0, false});
    total += step.millionths;
    unobserved_us += step.unobserved_us;
    constexpr std::string_view letters = "bhtBdrRa";
    const char letter = letters[static_cast<std::size_t>(step.verdict)];
    return step.verdict == GateVerdict::held ? letter : accept(raw, letter);
  }
  std::string read_all(std::initializer_list<double> joules) {
    std::string letters;
    for (const double each : joules)
      letters += read(each);
    return letters;
  }
  void set_rate_max(double rate_max) { rate_max_ = rate_max; }

  std::int64_t total = 0;
  std::int64_t unobserved_us = 0;

 private:
  char accept(std::uint64_t raw, char letter) {
    base_ = raw;
    base_us_ = at_us_;
    return letter;
  }
  MeterGate gate_;
  double rate_max_;
  std::uint64_t wrap_;
  std::uint64_t base_ = 0;
  std::int64_t base_us_ = -1;
  std::int64_t at_us_ = 0;
};

}  // namespace

TEST_CASE("meter gate: a step that the next read takes back was never energy") {
  Meter meter(300);
  CHECK(meter.read_all({1000, 1006, 1012, 1715, 1024, 1030}) == "bbbhtb");
  CHECK(meter.total == 30 * static_cast<std::int64_t>(joule));
  CHECK(meter.unobserved_us == 0);
}

TEST_CASE("meter gate: a step that stays, with a plausible rate after it, is refused") {
  Meter meter(300);
  CHECK(meter.read_all({1000, 1006, 1712, 1718, 1724}) == "bbhrb");
  CHECK(meter.total == 18 * static_cast<std::int64_t>(joule));
  CHECK(meter.unobserved_us == second_us);
}

TEST_CASE("meter gate: a rate that stands for three reads is booked whole, and the gate rises") {
  Meter meter(125);  // a cap that was in force at the start; the gate is 187.5 W
  CHECK(meter.read_all({0, 100, 350, 610, 860, 1110, 1360}) == "bbhhBbb");
  CHECK(meter.total == 1360 * static_cast<std::int64_t>(joule));
  CHECK(meter.unobserved_us == 0);
  CHECK(meter.read_all({1460, 1835}) == "bb");  // 375 W: 1.5 x 250
  CHECK(meter.read_all({1935, 2400, 2500}) == "bhr");
}

TEST_CASE("meter gate: steps beyond it that differ do not stand") {
  Meter meter(100);
  CHECK(meter.read_all({0, 50, 1050, 6050, 6100, 6150}) == "bbhrbb");
  CHECK(meter.total == 150 * static_cast<std::int64_t>(joule));
  CHECK(meter.unobserved_us == 2 * second_us);
}

TEST_CASE("meter gate: after a dip the interval is unobserved, and the return books nothing") {
  Meter meter(300);
  CHECK(meter.read_all({1000, 1100, 3, 1300, 1400}) == "bbhdb");
  CHECK(meter.total == 200 * static_cast<std::int64_t>(joule));
  CHECK(meter.unobserved_us == 2 * second_us);
}

TEST_CASE("meter gate: a counter that fell and goes on from there has restarted") {
  Meter meter(300);
  CHECK(meter.read_all({1000, 1100, 40, 140, 240}) == "bbhRb");
  CHECK(meter.total == 300 * static_cast<std::int64_t>(joule));
  CHECK(meter.unobserved_us == second_us);
}

TEST_CASE("meter gate: a wrap is no fall, also while a step is held") {
  Meter meter(300, 262'143'328'850);
  CHECK(meter.read_all({262'000, 262'100, 56.671149, 156.671149}) == "bbbb");
  CHECK(meter.total == 300 * static_cast<std::int64_t>(joule));
  Meter jumps(300, 262'143'328'850);
  CHECK(jumps.read_all({261'000, 261'100, 262'140, 261'300, 261'400}) == "bbhtb");
  CHECK(jumps.total == 400 * static_cast<std::int64_t>(joule));
}

TEST_CASE("meter gate: a limit that is raised while the daemon runs opens it at once") {
  Meter meter(100);
  CHECK(meter.read_all({0, 90}) == "bb");
  meter.set_rate_max(300);
  CHECK(meter.read_all({390, 690}) == "bb");
}

TEST_CASE("meter gate: a counter of work that restarts has counted since what it shows") {
  MeterGate gate;
  const GateStep step = gate.count(5'000'000, second_us, {700'000, 0, 1e9, 2 * second_us, 0, 0, true});
  CHECK(step.verdict == GateVerdict::restarted);
  CHECK(step.millionths == 700'000);
  CHECK(step.unobserved_us == 0);
}

TEST_CASE("meter gate: power beyond the bound is held for one read, and believed when it stands") {
  MeterGate gate;
  std::int64_t at_us = 0;
  const auto read = [&](double watts) {
    const MeterGate::Power power = gate.integrate({watts, at_us += second_us, 0}, 100);
    return std::pair(power.verdict, power.points.size());
  };
  CHECK(read(90) == std::pair(GateVerdict::booked, std::size_t{1}));
  CHECK(read(900) == std::pair(GateVerdict::held, std::size_t{0}));
  CHECK(read(90) == std::pair(GateVerdict::taken_back, std::size_t{1}));
  CHECK(read(200) == std::pair(GateVerdict::held, std::size_t{0}));
  CHECK(read(230) == std::pair(GateVerdict::held, std::size_t{0}));
  CHECK(read(220) == std::pair(GateVerdict::believed, std::size_t{3}));
  CHECK(read(280) == std::pair(GateVerdict::booked, std::size_t{1}));
  CHECK(read(301) == std::pair(GateVerdict::held, std::size_t{0}));
}

TEST_CASE(
    "meter gate: whatever a counter does, energy is never more than the truth, and what is missing is unobserved") {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    const double watts_max = 50 + static_cast<double>(random() % 400);
    Meter meter(watts_max);
    double truth = 1000 + static_cast<double>(random() % 1000);
    double shift = 0;  // what the counter shows beyond the truth
    const double first = truth;
    (void)meter.read(truth);
    int glitch = 0;
    for (int second = 1; second <= 400; ++second) {
      truth += watts_max * static_cast<double>(random() % 1000) / 1000;
      if (glitch > 0 && --glitch == 0) shift = 0;
      if (glitch == 0 && second < 395 && random() % 20 == 0) {
        glitch = 1 + static_cast<int>(random() % 2);
        shift = random() % 2 == 0 ? 500 + static_cast<double>(random() % 100000) : -truth;
      }
      (void)meter.read(std::max(truth + shift, 0.0));
    }
    const double booked = static_cast<double>(meter.total) / 1e6;
    const double missing = watts_max * static_cast<double>(meter.unobserved_us) / 1e6;
    REQUIRE_MESSAGE(booked <= truth - first + 0.01, "seed " << seed);
    REQUIRE_MESSAGE(booked + missing >= truth - first - 0.01, "seed " << seed);
  }
}
