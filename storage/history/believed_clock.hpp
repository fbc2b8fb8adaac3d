// The time from which retention counts ages: the newest stamp, unless the clock has just stepped ahead.
//
// A clock that is a year ahead for ten minutes would age everything. So a stamp more than two hours ahead of what is
// believed is not believed until stamps have gone on behind it for a day; meanwhile nothing ages beyond what was
// believed before. A clock that goes back is believed at once: that ages nothing. A daemon that was off for longer than
// two hours forgets, for a day, no more than it had. Values only; any thread.
#pragma once

#include <cstdint>

namespace perjoule::storage {

class BelievedClock {
 public:
  static constexpr std::int64_t sudden_ms = 2 * 3'600'000;
  static constexpr std::int64_t proof_ms = 24 * 3'600'000;

  // What a later process goes on from; 0: none.
  struct State {
    std::int64_t believed_ms = 0;
    std::int64_t step_ms = 0;  // the first stamp behind a step ahead that is not believed
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
  // 0 before the first stamp.
  [[nodiscard]] std::int64_t now_ms() const { return state_.believed_ms; }
  [[nodiscard]] const State& state() const { return state_; }
  // Whether `kept` would lead a later process astray.
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
