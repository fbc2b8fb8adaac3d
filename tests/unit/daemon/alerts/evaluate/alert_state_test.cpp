#include "daemon/alerts/evaluate/alert_state.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>

namespace perjoule::alerts {
namespace {

constexpr std::int64_t hold_ms = 900'000;

// Steps once a second and records the transitions as "SECOND NAME": "12 firing".
class Play {
 public:
  explicit Play(Level level) : level_(std::move(level)) {}

  Play& step(std::optional<double> value, int seconds = 1, bool guarded = true) {
    for (int i = 0; i < seconds; ++i, ++second_) {
      const Transitions transitions =
          alerts::step(state, level_, hold_ms, {value, guarded, false}, {second_ * 1000, 5'000});
      for (const Change change : {transitions.first, transitions.second})
        note(change);
    }
    return *this;
  }
  std::string moved;
  AlertState state;

 private:
  void note(Change change) {
    static constexpr const char* names[] = {"", "pending", "dropped", "firing", "resolved", "lost"};
    if (change == Change::none) return;
    moved += (moved.empty() ? "" : ", ") + std::to_string(second_) + ' ' + names[static_cast<int>(change)];
  }
  Level level_;
  std::int64_t second_ = 0;
};

const Level band{"warning", true, 10, 5, 3'000, 4'000};

TEST_CASE("an alert fires after `for`, stays firing between the thresholds, and clears after `clear_for`") {
  CHECK(Play(band).step(9).step(11, 3).moved == "1 pending");
  CHECK(Play(band).step(11, 4).moved == "0 pending, 3 firing");
  CHECK(Play(band).step(11, 4).step(5, 100).moved == "0 pending, 3 firing");
  CHECK(Play(band).step(11, 4).step(4.9, 4).moved == "0 pending, 3 firing");
  CHECK(Play(band).step(11, 4).step(4.9, 5).moved == "0 pending, 3 firing, 8 resolved");
  CHECK(Play(band).step(11, 4).step(4, 4).step(5).step(4, 4).moved == "0 pending, 3 firing");
}

TEST_CASE("an alert that is not raised during all of `for` does not fire") {
  CHECK(Play(band).step(11, 3).step(10).step(11, 3).moved == "0 pending, 3 dropped, 4 pending");
  CHECK(Play(band).step(11, 3).step(std::nullopt).step(11, 3).moved == "0 pending, 3 dropped, 4 pending");
}

TEST_CASE("a level without `for` fires at once, and without a clear threshold clears as soon as it is not raised") {
  const Level at_once{"critical", true, 0, std::nullopt, 0, 0};
  CHECK(Play(at_once).step(0).step(1, 3).step(0).moved == "1 pending, 1 firing, 4 resolved");
  const Level below{"critical", false, 5, 8, 0, 0};
  CHECK(Play(below).step(5).step(4.9).step(8).step(8.1).moved == "1 pending, 1 firing, 3 resolved");
}

TEST_CASE("a false guard prevents firing, and clears a firing alert after clear_for") {
  CHECK(Play(band).step(11, 9, false).moved.empty());
  CHECK(Play(band).step(11, 4).step(11, 4, false).moved == "0 pending, 3 firing");
  CHECK(Play(band).step(11, 4).step(11, 5, false).moved == "0 pending, 3 firing, 8 resolved");
  CHECK(Play(band).step(11, 4).step(11, 4, false).step(11).step(11, 4, false).moved == "0 pending, 3 firing");
}

TEST_CASE("a firing alert without data is held, then resolved; data that return in time change nothing") {
  CHECK(Play(band).step(11, 4).step(std::nullopt, 900).moved == "0 pending, 3 firing");
  CHECK(Play(band).step(11, 4).step(std::nullopt, 901).moved == "0 pending, 3 firing, 904 lost");
  CHECK(Play(band).step(11, 4).step(std::nullopt, 800).step(6).step(std::nullopt, 800).moved == "0 pending, 3 firing");
  // A gap in the data restarts clear_for.
  CHECK(Play(band).step(11, 4).step(1, 3).step(std::nullopt, 9).step(1, 4).moved == "0 pending, 3 firing");
}

TEST_CASE("after a restart a rule clears nothing before its windows are full") {
  const Level level{"warning", true, 10, 5, 60'000, 0};
  for (const AlertStage at : {AlertStage::pending, AlertStage::firing}) {
    AlertState state;
    state.at = at;
    state.restored_until_ms = 300'000;
    CHECK(step(state, level, hold_ms, {std::nullopt, true, true}, {1'000, 0}).first == Change::none);
    CHECK(step(state, level, hold_ms, {0.1, true, true}, {2'000, 0}).first == Change::none);
    CHECK(state.at == at);
    CHECK(step(state, level, hold_ms, {0.1, true, true}, {300'000, 0}).first ==
          (at == AlertStage::pending ? Change::dropped : Change::resolved));
  }
  AlertState state;
  state.at = AlertStage::firing;
  state.restored_until_ms = 300'000;
  CHECK(step(state, level, hold_ms, {0.1, true, false}, {2'000, 0}).first == Change::resolved);
}

TEST_CASE("random values between the thresholds cause no transition") {
  std::mt19937_64 random(42);
  std::uniform_real_distribution<double> inside(5, 10);
  Play fires(band);
  fires.step(11, 4);
  Play rests(band);
  const std::string before = fires.moved;
  for (int i = 0; i < 10'000; ++i) {
    const double value = inside(random);
    fires.step(value);
    rests.step(value);
  }
  CHECK(fires.moved == before);
  CHECK(rests.moved.empty());
}

}  // namespace
}  // namespace perjoule::alerts
