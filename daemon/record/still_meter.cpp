#include "daemon/record/still_meter.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace perjoule {

namespace {
constexpr int reads_to_stand = 5;
constexpr std::int64_t hold_max_us = 30'000'000;  // as of integrated power (ledger.hpp)
}  // namespace

void StillMeter::move(const Read& read) {
  *this = StillMeter();
  moved_us_ = last_us_ = read.at_us;
  last_watts_ = read.watts;
}

StillMeter::Verdict StillMeter::stand(const Read& read) {
  const std::int64_t interval_us = read.at_us - last_us_;
  if (read.watts >= 0 && last_watts_ >= 0) {
    const std::int64_t held_us = std::min(interval_us, hold_max_us);
    waiting_ += (read.watts + last_watts_) / 2 * static_cast<double>(held_us);
    without_us_ += interval_us - held_us;
  } else if (!std::exchange(bridges_, false)) {
    without_us_ += interval_us;
  }
  last_us_ = read.at_us;
  last_watts_ = read.watts;
  ++reads_;
  const bool long_enough = read.zero || (reads_ >= reads_to_stand && read.at_us - moved_us_ >= read.patience_us);
  if (read.patience_us > 0 && long_enough) stands_ = true;
  Verdict verdict;
  if (!stands_) return verdict;
  verdict.stands = true;
  verdict.microjoules = static_cast<std::int64_t>(std::floor(waiting_));
  verdict.integrated = verdict.microjoules > 0;
  waiting_ -= static_cast<double>(verdict.microjoules);
  verdict.unobserved_us = std::exchange(without_us_, 0);
  bridged_ += verdict.microjoules;
  return verdict;
}

std::int64_t StillMeter::deduct(std::int64_t microjoules) const {
  return microjoules < bridged_ / 2 ? microjoules : std::max<std::int64_t>(microjoules - bridged_, 0);
}

void StillMeter::bridge(std::int64_t microjoules) {
  if (reads_ == 0) return;
  bridges_ = true;
  bridged_ += microjoules;
}

}  // namespace perjoule
