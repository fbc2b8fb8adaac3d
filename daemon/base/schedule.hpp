// Due times of one probe: absolute (start + n x period, so that nothing drifts), aligned to the wall clock, never a
// burst to catch up. Pure; virtual time and real time look the same to it.
#pragma once

#include <cstdint>

#include "collectors/sample.hpp"

namespace perjoule {

class Schedule {
 public:
  explicit Schedule(std::int64_t period_ns) : period_ns_(period_ns) {}

  struct Due {
    std::int64_t steady_ns = 0;
    std::uint64_t missed = 0;  // whole periods that passed unused before it
  };

  // The next due time after the one given last. When `now` is a period or more behind, the due times in between are
  // missed. When the wall clock has stepped, the grid moves by less than half a period to be aligned again.
  [[nodiscard]] Due next(const Stamp& now);

 private:
  [[nodiscard]] std::int64_t misalignment(std::int64_t due_ns, const Stamp& now) const;

  std::int64_t period_ns_;
  std::int64_t last_ns_ = 0;
  bool started_ = false;
};

}  // namespace perjoule
