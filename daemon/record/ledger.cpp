#include "daemon/record/ledger.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "collectors/counter.hpp"

namespace perjoule {

namespace {

constexpr double trapezoid_periods = 2.5;
constexpr std::int64_t hold_max_us = 30'000'000;
constexpr std::int64_t picojoules_per_microjoule = 1'000'000;

__extension__ using Wide = __int128;  // microwatts x microseconds: 30 s at a megawatt exceeds 64 bits

}  // namespace

Ledger::Ledger(const storage::LedgerRows& loaded, std::string boot_id) : boot_id_(std::move(boot_id)) {
  for (const storage::TotalRow& row : loaded.totals) {
    const auto index = static_cast<std::size_t>(entry(row.key));
    entries_[index].total = std::max<std::int64_t>(row.millionths, 0);
  }
  for (const storage::MeterRow& row : loaded.meters) {
    Entry& entry_of = entries_[static_cast<std::size_t>(entry(row.key))];
    entry_of.metered = true;
    entry_of.this_boot = row.boot_id == boot_id_;
    entry_of.raw = row.raw;
    entry_of.steady_ns = row.steady_ns;
    entry_of.wall_ms = row.wall_ms;
    entry_of.power_uw = row.power_microwatts;
  }
  for (const storage::StateRow& row : loaded.states)
    states_.insert_or_assign(row.key, row.text);
  changed_.clear();
  for (Entry& loaded_entry : entries_)
    loaded_entry.total_changed = false;
}

EntryId Ledger::entry(std::string_view key) {
  const auto [found, added] = ids_.try_emplace(std::string(key), static_cast<EntryId>(entries_.size()));
  if (added) {
    Entry made;
    made.key = key;
    made.total_changed = true;
    entries_.push_back(std::move(made));
    changed_.push_back(entries_.size() - 1);
  }
  return found->second;
}

void Ledger::mark(std::size_t index) {
  Entry& marked = entries_[index];
  if (!marked.total_changed && !marked.meter_changed) changed_.push_back(index);
}

void Ledger::book(EntryId id, std::int64_t millionths) {
  if (millionths <= 0) return;
  const auto index = static_cast<std::size_t>(id);
  mark(index);
  entries_[index].total += millionths;
  entries_[index].total_changed = true;
}

bool Ledger::open_interval(Entry& entry, const Stamp& stamp, Booking& booking) const {
  if (!entry.metered) return false;
  if (!entry.this_boot) {
    booking.unobserved_us = std::max<std::int64_t>(stamp.wall_ms - entry.wall_ms, 0) * 1000;
    return false;
  }
  booking.interval_us = (stamp.steady_ns - entry.steady_ns) / 1000;
  return booking.interval_us > 0;
}

void Ledger::close_interval(Entry& entry, const Stamp& stamp) {
  mark(static_cast<std::size_t>(&entry - entries_.data()));
  entry.metered = true;
  entry.this_boot = true;
  entry.this_run = true;
  entry.steady_ns = stamp.steady_ns;
  entry.wall_ms = stamp.wall_ms;
  entry.meter_changed = true;
}

Ledger::Booking Ledger::meter(EntryId id, const Reading& reading, const Stamp& stamp) {
  Entry& entry = entries_[static_cast<std::size_t>(id)];
  Booking booking;
  if (open_interval(entry, stamp, booking)) {
    const Increment increment = step(
        {entry.raw, reading.raw, reading.wrap, reading.rate_max, booking.interval_us, stamp.uncertainty_ns / 1000});
    if (increment.verdict == StepVerdict::booked) {
      booking.millionths = increment.millionths;
    } else {
      booking.unobserved_us = booking.interval_us;
      booking.reset = increment.verdict == StepVerdict::reset;
    }
  }
  entry.raw = reading.raw;
  entry.power_uw = 0;
  close_interval(entry, stamp);
  book(id, booking.millionths);
  return booking;
}

Ledger::Booking Ledger::integrate(EntryId id, const Reading& reading, const Stamp& stamp, std::int64_t period_ns) {
  Entry& entry = entries_[static_cast<std::size_t>(id)];
  Booking booking;
  if (!std::isfinite(reading.value) || reading.value < 0 || reading.value > reading.rate_max) {
    booking.refused = true;
    return booking;
  }
  const auto power_uw = static_cast<std::int64_t>(std::llround(reading.value * 1e6));
  if (open_interval(entry, stamp, booking)) {
    const auto trapezoid_us = static_cast<std::int64_t>(trapezoid_periods * static_cast<double>(period_ns) / 1000);
    Wide picojoules = entry.remainder_pj;
    if (!entry.this_run) {
      booking.unobserved_us = booking.interval_us;
    } else if (booking.interval_us <= trapezoid_us) {
      picojoules += (Wide{entry.power_uw} + power_uw) * booking.interval_us / 2;
    } else {
      const std::int64_t held_us = std::min(booking.interval_us, hold_max_us);
      picojoules += Wide{entry.power_uw} * held_us;
      booking.unobserved_us = booking.interval_us - held_us;
    }
    booking.millionths = static_cast<std::int64_t>(picojoules / picojoules_per_microjoule);
    entry.remainder_pj = static_cast<std::int64_t>(picojoules % picojoules_per_microjoule);
  }
  entry.raw = 0;
  entry.power_uw = power_uw;
  close_interval(entry, stamp);
  book(id, booking.millionths);
  return booking;
}

void Ledger::set_state(const std::string& key, std::string text) {
  const auto found = states_.find(key);
  const bool same = found == states_.end() ? text.empty() : found->second == text;
  if (same) return;
  changed_states_.insert(key);
  if (text.empty()) {
    states_.erase(found);
  } else {
    states_.insert_or_assign(key, std::move(text));
  }
}

std::map<std::string, std::string> Ledger::states(std::string_view prefix) const {
  std::map<std::string, std::string> found;
  for (auto at = states_.lower_bound(prefix); at != states_.end() && at->first.starts_with(prefix); ++at)
    found.insert(*at);
  return found;
}

storage::LedgerRows Ledger::take_changed() {
  storage::LedgerRows rows;
  for (const std::string& key : changed_states_) {
    const auto found = states_.find(key);
    rows.states.push_back({key, found == states_.end() ? "" : found->second});
  }
  taken_states_ = std::exchange(changed_states_, {});
  for (const std::size_t index : changed_) {
    Entry& entry = entries_[index];
    if (entry.total_changed) rows.totals.push_back({entry.key, entry.total});
    if (entry.meter_changed) {
      rows.meters.push_back({entry.key, boot_id_, entry.raw, entry.steady_ns, entry.wall_ms, entry.power_uw});
    }
    entry.total_changed = false;
    entry.meter_changed = false;
  }
  taken_ = std::exchange(changed_, {});
  return rows;
}

std::vector<std::string> Ledger::keys(std::string_view prefix) const {
  std::vector<std::string> found;
  for (const auto& [key, id] : ids_) {
    if (key.starts_with(prefix)) found.push_back(key);
  }
  std::sort(found.begin(), found.end());
  return found;
}

void Ledger::restore() {
  for (const std::size_t index : taken_) {
    mark(index);
    entries_[index].total_changed = true;
    entries_[index].meter_changed = entries_[index].metered;
  }
  taken_.clear();
  changed_states_.merge(taken_states_);
  taken_states_.clear();
}

}  // namespace perjoule
