#include "daemon/base/schedule.hpp"

#include <algorithm>

namespace perjoule {

namespace {
constexpr std::int64_t millisecond = 1'000'000;
// Re-align only when off by more than 1/20 of the period and 2 ms: a slewing clock (adjtime(3)) moves up to 0.5 ms per
// second, and re-aligning for that would only add jitter to the timestamps.
constexpr std::int64_t tolerance_part = 20;
}  // namespace

// Distance of a due time from the nearest multiple of the period on the wall clock, from -period/2 to +period/2.
std::int64_t Schedule::misalignment(std::int64_t due_ns, const Stamp& now) const {
  const std::int64_t wall_ns = now.wall_ms * millisecond + (due_ns - now.steady_ns);
  std::int64_t off = wall_ns % period_ns_;
  if (off < 0) off += period_ns_;
  return off > period_ns_ / 2 ? off - period_ns_ : off;
}

Schedule::Due Schedule::next(const Stamp& now) {
  Due due;
  if (!started_) {
    started_ = true;
    due.steady_ns = now.steady_ns - misalignment(now.steady_ns, now);
    if (due.steady_ns < now.steady_ns) due.steady_ns += period_ns_;
    last_ns_ = due.steady_ns;
    return due;
  }
  due.steady_ns = last_ns_ + period_ns_;
  if (now.steady_ns >= due.steady_ns + period_ns_) {
    due.missed = static_cast<std::uint64_t>((now.steady_ns - due.steady_ns) / period_ns_);
    due.steady_ns += static_cast<std::int64_t>(due.missed) * period_ns_;
  }
  const std::int64_t off = misalignment(due.steady_ns, now);
  if (std::max(off, -off) > std::max(period_ns_ / tolerance_part, 2 * millisecond)) {
    due.steady_ns -= off;
    if (due.steady_ns <= last_ns_) due.steady_ns += period_ns_;
  }
  last_ns_ = due.steady_ns;
  return due;
}

}  // namespace perjoule
