// Due times of one probe: absolute (start + n x period, so that there is no drift), aligned to multiples of the period
// on the wall clock, with no burst to catch up. Times are nanoseconds of Stamp::steady_ns. Pure: reads no clock. One
// thread at a time.
#pragma once

#include <cstdint>

#include "collectors/sample.hpp"

namespace perjoule {

class Schedule {
 public:
  explicit Schedule(std::int64_t period_ns) : period_ns_(period_ns) {}

  struct Due {
    std::int64_t steady_ns = 0;
    std::uint64_t missed = 0;  // due times skipped before this one
  };

  // The due time that follows the one returned last. If `now` is a period or more past it, the due times in between
  // count as missed, and the latest one that has passed is returned. After a step of the wall clock the due time moves
  // by at most half a period to the new grid.
  [[nodiscard]] Due next(const Stamp& now);

 private:
  [[nodiscard]] std::int64_t misalignment(std::int64_t due_ns, const Stamp& now) const;

  std::int64_t period_ns_;
  std::int64_t last_ns_ = 0;
  bool started_ = false;
};

}  // namespace perjoule
