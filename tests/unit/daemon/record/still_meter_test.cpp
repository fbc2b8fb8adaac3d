#include "daemon/record/still_meter.hpp"

#include <doctest/doctest.h>

#include <array>
#include <random>

#include "collectors/gpu/metrics.hpp"
#include "daemon/record/ledger.hpp"

using namespace perjoule;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::uint64_t joule = 1'000'000;

// The energy counter of a board that names 400 W, read once a second.
class Board {
 public:
  Ledger::Booking read(std::uint64_t joules, double watts, std::int64_t patience = patience_alive_ms) {
    Reading reading;
    reading.metric = &gpu_energy;
    reading.form = Reading::Form::meter;
    reading.raw = joules * joule;
    reading.rate_max = 400;
    reading.value = watts;
    reading.patience_ms = patience;
    at_ns_ += second_ns;
    const Ledger::Booking booking = ledger.meter(id, reading, {at_ns_, at_ns_ / 1'000'000});
    unobserved_us += booking.unobserved_us;
    return booking;
  }
  [[nodiscard]] double total() const { return static_cast<double>(ledger.total(id)) / 1e6; }

  Ledger ledger{{}, "boot"};
  EntryId id = ledger.entry("gpu");
  std::int64_t unobserved_us = 0;

 private:
  std::int64_t at_ns_ = 0;
};

}  // namespace

TEST_CASE("still meter: the power beside a counter that stands is integrated from its last step on") {
  Board board;
  (void)board.read(1000, 250);
  (void)board.read(1250, 250);
  for (int second = 1; second < 5; ++second) {
    const Ledger::Booking booking = board.read(1250, 250);
    CHECK_FALSE(booking.stands);
    CHECK(booking.millionths == 0);
  }
  const Ledger::Booking fifth = board.read(1250, 250);
  CHECK(fifth.stands);
  CHECK(fifth.integrated);
  CHECK(board.total() == 1500);
  CHECK(board.read(1250, 350).integrated);
  CHECK(board.total() == 1800);
  CHECK(board.unobserved_us == 0);

  SUBCASE("it catches up: what was booked meanwhile is deducted") {
    const Ledger::Booking caught = board.read(3200, 350);
    CHECK(caught.verdict == GateVerdict::caught_up);
    CHECK(board.total() == 2200);
    CHECK(board.read(3500, 300).millionths == 300'000'000);
  }
  SUBCASE("it catches up, and has counted less than was booked: the total does not fall") {
    (void)board.read(2700, 350);
    CHECK(board.total() == 1800);
  }
  SUBCASE("it had stopped, and goes on") {
    (void)board.read(1600, 350);
    CHECK(board.total() == 2150);
  }
  SUBCASE("it restarts") {
    CHECK(board.read(10, 350).verdict == GateVerdict::held);
    const Ledger::Booking restarted = board.read(360, 350);
    CHECK(restarted.verdict == GateVerdict::restarted);
    CHECK(restarted.unobserved_us == 1'000'000);
    CHECK(board.total() == 2150);
  }
}

TEST_CASE("still meter: without any power beside it the time is unobserved, from the last step on") {
  Board board;
  (void)board.read(1000, -1, patience_ms);
  (void)board.read(1100, -1, patience_ms);
  for (int second = 1; second < 60; ++second)
    CHECK_FALSE(board.read(1100, -1, patience_ms).stands);
  CHECK(board.read(1100, -1, patience_ms).stands);
  CHECK(board.unobserved_us == 60'000'000);
  CHECK(board.read(1100, -1, patience_ms).unobserved_us == 1'000'000);
  CHECK(board.total() == 100);
}

TEST_CASE("still meter: what another source books is no unobserved time, and is deducted") {
  Board board;
  (void)board.read(1000, -1);
  (void)board.read(1100, -1);
  for (int second = 1; second <= 5; ++second)
    (void)board.read(1100, -1);
  CHECK(board.unobserved_us == 5'000'000);
  for (int second = 6; second <= 20; ++second) {
    board.ledger.bridge(board.id, 100'000'000);
    CHECK(board.read(1100, -1).unobserved_us == 0);
  }
  (void)board.read(3200, -1);
  CHECK(board.total() == 100 + 2100 - 1500);
}

TEST_CASE("still meter: a counter of work may stand for ever, and a short stand changes nothing") {
  Board board;
  (void)board.read(1000, -1, 0);
  for (int second = 0; second < 500; ++second)
    CHECK_FALSE(board.read(1000, -1, 0).stands);
  CHECK(board.unobserved_us == 0);
  Board slow;
  (void)slow.read(1000, 300);
  for (int round = 1; round <= 50; ++round) {
    for (std::uint64_t still = 0; still < 3; ++still)
      CHECK(slow.read(1000 + 1200 * static_cast<std::uint64_t>(round - 1), 300).millionths == 0);
    CHECK(slow.read(1000 + 1200 * static_cast<std::uint64_t>(round), 300).millionths == 1'200'000'000);
  }
  CHECK(slow.unobserved_us == 0);
}

TEST_CASE("still meter: whenever a counter stands, stops or catches up, the total is the truth") {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    std::mt19937 random(seed);
    Board board;
    std::uint64_t shown = 1000, truth = 1000, watts = 200;
    (void)board.read(shown, static_cast<double>(watts));
    std::uint64_t lost = 0;  // of stops that were too short to be known as one
    for (int phase = 0; phase < 30; ++phase) {
      const unsigned kind = static_cast<unsigned>(random()) % 3;  // it counts, stands and catches up, stops
      const unsigned seconds = 1 + static_cast<unsigned>(random()) % 40;
      watts = 50 + random() % 350;
      std::uint64_t missed = 0;
      for (unsigned second = 0; second < seconds; ++second) {
        truth += watts;
        if (kind == 0)
          shown += watts;
        else
          missed += watts;
        (void)board.read(shown, static_cast<double>(watts));
      }
      // Then it counts for a second again.
      truth += watts;
      shown += watts + (kind == 1 ? missed : 0);
      if (kind == 2 && seconds < 5) lost += missed;
      (void)board.read(shown, static_cast<double>(watts));
    }
    const double expected = static_cast<double>(truth - 1000 - lost);
    // The trapezoid at the edges of a stand: half a second of the change of power.
    CHECK(std::abs(board.total() - expected) <= 30 * 350);
    CHECK(board.unobserved_us == 0);
  }
}
