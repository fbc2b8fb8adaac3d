// The time from which retention counts ages: the newest timestamp, unless the clock has just stepped ahead.
//
// If the clock were a year ahead for ten minutes, retention would delete everything. So a timestamp more than two hours
// ahead of the trusted time is not trusted until timestamps have followed it for a day; until then the trusted time
// stands still, and nothing more expires. A clock that goes back is trusted at once, because that expires nothing.
// After the daemon was off for more than two hours, retention pauses for a day for the same reason. All times are wall
// clock, milliseconds since the epoch. One thread at a time (the writer).
#pragma once

#include <cstdint>

namespace perjoule::storage {

class BelievedClock {
 public:
  static constexpr std::int64_t sudden_ms = 2 * 3'600'000;  // a larger step ahead is not trusted
  static constexpr std::int64_t proof_ms = 24 * 3'600'000;  // timestamps must follow a step this long to be trusted

  // Stored in the file, so that a later process continues with it; 0: none.
  struct State {
    std::int64_t believed_ms = 0;  // the trusted time
    std::int64_t step_ms = 0;      // the first timestamp after a step ahead, until the step is trusted
    std::int64_t newest_ms = 0;
  };

  BelievedClock() = default;
  explicit BelievedClock(const State& state) : state_(state) {}

  void advance(std::int64_t stamp_ms) {
    const bool steady = !is_sudden(state_.newest_ms, stamp_ms) && stamp_ms >= state_.step_ms;
    const bool proven = state_.step_ms != 0 && steady && stamp_ms - state_.step_ms >= proof_ms;
    if (proven || !is_sudden(state_.believed_ms, stamp_ms)) {
      state_.believed_ms = stamp_ms;
      state_.step_ms = 0;
    } else if (state_.step_ms == 0 || !steady) {
      state_.step_ms = stamp_ms;
    }
    state_.newest_ms = stamp_ms;
  }
  // The trusted time; 0 before the first timestamp.
  [[nodiscard]] std::int64_t now_ms() const { return state_.believed_ms; }
  [[nodiscard]] const State& state() const { return state_; }
  // Whether the state has changed so much since `kept` was stored that it should be stored again: at the first
  // timestamp, at a step, and once an hour.
  [[nodiscard]] bool differs(const State& kept) const {
    const bool is_new = kept.newest_ms == 0 && state_.newest_ms != 0;
    return is_new || kept.step_ms != state_.step_ms || is_sudden(kept.newest_ms, state_.newest_ms, sudden_ms / 2);
  }

 private:
  static bool is_sudden(std::int64_t from_ms, std::int64_t to_ms, std::int64_t by_ms = sudden_ms) {
    return from_ms != 0 && to_ms - from_ms > by_ms;
  }

  State state_;
};

}  // namespace perjoule::storage
