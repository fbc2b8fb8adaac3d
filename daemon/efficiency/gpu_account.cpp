#include "daemon/efficiency/gpu_account.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace perjoule {

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t peak_slot_ns = 10 * second_ns;
constexpr std::int64_t peak_slots = 30;
constexpr std::int64_t agreement_slot_ns = 60 * second_ns;
constexpr std::int64_t agreement_slots = 10;
constexpr double agreement_covered_seconds = 540;
constexpr double agreement_least_joules = 100;
// A longer interval is a gap: the states within it are unknown, so all of it is booked to the state before it.
constexpr std::int64_t gap_us = 10'000'000;
__extension__ using Wide = __int128;

constexpr std::int64_t missed_max_ns = 10 * second_ns;
constexpr std::int64_t undecided_max_us = GpuStates::undecided_max_ns / 1000;

bool wastes(std::optional<GpuState> state) {
  return state == GpuState::parked || state == GpuState::execution_idle || state == GpuState::spinning;
}

}  // namespace

void RecentPeak::add(double value, std::int64_t now_ns) {
  const std::int64_t number = now_ns / peak_slot_ns;
  if (slots_.empty() || slots_.back().number != number) slots_.push_back({number, value});
  slots_.back().value = std::max(slots_.back().value, value);
  while (number - slots_.front().number >= peak_slots)
    slots_.pop_front();
}

std::optional<double> RecentPeak::largest(std::int64_t now_ns) const {
  std::optional<double> largest;
  for (const Slot& slot : slots_) {
    if (now_ns / peak_slot_ns - slot.number < peak_slots) largest = std::max(largest.value_or(slot.value), slot.value);
  }
  return largest;
}

void Agreement::add(std::int64_t booked_uj, std::int64_t interval_us, std::optional<double> watts,
                    std::int64_t now_ns) {
  const std::optional<double> before = std::exchange(watts_before_, watts);
  if (!watts || !before || interval_us <= 0 || interval_us > gap_us) return;
  const std::int64_t number = now_ns / agreement_slot_ns;
  if (slots_.empty() || slots_.back().number != number) slots_.push_back({number, 0, 0, 0});
  const double seconds = static_cast<double>(interval_us) / 1e6;
  slots_.back().counted_joules += static_cast<double>(booked_uj) / 1e6;
  slots_.back().integrated_joules += (*before + *watts) / 2 * seconds;
  slots_.back().seconds += seconds;
  // One slot more than the window, because the newest one is not complete.
  while (number - slots_.front().number > agreement_slots)
    slots_.pop_front();
}

std::optional<double> Agreement::ratio(std::int64_t now_ns) const {
  Slot sum;
  for (const Slot& slot : slots_) {
    if (now_ns / agreement_slot_ns - slot.number > agreement_slots) continue;
    sum.counted_joules += slot.counted_joules;
    sum.integrated_joules += slot.integrated_joules;
    sum.seconds += slot.seconds;
  }
  if (sum.seconds < agreement_covered_seconds || sum.integrated_joules < agreement_least_joules) return std::nullopt;
  return sum.counted_joules / sum.integrated_joules;
}

GpuAccount::Entry GpuAccount::add(const GpuInterval& interval, const GpuReading& reading, std::int64_t now_ns,
                                  std::int64_t enter_after_ns, std::optional<double> floor_watts) {
  Entry entry;
  entry.time_us =
      std::max<std::int64_t>(interval.interval_us - interval.unobserved_us - std::exchange(asleep_us_, 0), 0);
  entry.energy_uj = interval.booked_uj;
  last_ns_ = now_ns;
  const bool is_gap = interval.interval_us > gap_us;
  if (reading.utilization) utilization_ns_ = now_ns;
  // One that is missing in a tick is no sign that the driver has none.
  const bool is_missed = !reading.utilization && utilization_ns_ != 0 && now_ns - utilization_ns_ < missed_max_ns;
  const std::optional<GpuState> seen = is_missed ? std::nullopt : looks_like(reading, floor_watts);
  entry.state = states_.step(seen, now_ns, enter_after_ns, is_gap);
  const bool is_measured = entry.time_us > 0 && !is_gap;
  if (entry.state == GpuState::deep_idle && seen == GpuState::deep_idle && is_measured) {
    floor_.add(static_cast<double>(entry.energy_uj) / static_cast<double>(entry.time_us),
               static_cast<double>(entry.time_us) / 1e6);
  }
  if (!entry.state) {
    undecided_.booked_uj += entry.energy_uj;
    undecided_.interval_us += entry.time_us;
    if (undecided_.interval_us > undecided_max_us) undecided_ = {};
    return entry;
  }
  if (floor_watts && wastes(entry.state)) {
    const Wide floor_uj = Wide{std::llround(*floor_watts * 1e6)} * entry.time_us / 1'000'000;
    entry.waste_uj = std::max<std::int64_t>(entry.energy_uj - static_cast<std::int64_t>(floor_uj), 0);
  }
  if (floor_watts && wastes(states_.current()) && reading.watts)
    entry.waste_watts = std::max(*reading.watts - *floor_watts, 0.0);
  const GpuInterval before = std::exchange(undecided_, {});
  entry.energy_uj += before.booked_uj;
  entry.time_us += before.interval_us;
  return entry;
}

GpuAccount::Entry GpuAccount::suspended(std::int64_t now_ns) {
  Entry entry;
  GpuReading reading;
  reading.suspended = true;
  entry.state = GpuState::asleep;
  // It fell asleep at some time since the last reading, a period at most.
  (void)states_.step(looks_like(reading, {}), now_ns, 0, false);
  if (last_ns_ != 0) entry.time_us = (now_ns - last_ns_) / 1000;
  last_ns_ = now_ns;
  asleep_us_ += entry.time_us;
  return entry;
}

}  // namespace perjoule
