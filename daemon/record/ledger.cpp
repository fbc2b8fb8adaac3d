#include "daemon/record/ledger.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace perjoule {

namespace {

constexpr double trapezoid_periods = 2.5;
constexpr std::int64_t hold_max_us = 30'000'000;
constexpr std::int64_t last_minute_ms = 60'000;
constexpr std::int64_t picojoules_per_microjoule = 1'000'000;

__extension__ using Wide = __int128;  // microwatts x microseconds: 30 s at a megawatt exceeds 64 bits

}  // namespace

Ledger::Ledger(const storage::LedgerRows& loaded, std::string boot_id)
    : boot_id_(std::move(boot_id)), expired_(loaded.expired) {
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
  // After a migration the file has none of the new keys.
  const bool moved = !loaded.expired.empty();
  for (std::size_t index = 0; index < entries_.size(); ++index) {
    entries_[index].total_changed = moved;
    entries_[index].meter_changed = moved && entries_[index].metered;
    entries_[index].offered = true;
    if (moved) changed_.push_back(index);
  }
}

EntryId Ledger::entry(std::string_view key) {
  const auto known = ids_.find(std::string(key));
  if (known != ids_.end()) return known->second;
  const EntryId id = free_.empty() ? static_cast<EntryId>(entries_.size()) : free_.back();
  if (free_.empty()) {
    entries_.emplace_back();
  } else {
    free_.pop_back();
  }
  ids_.emplace(std::string(key), id);
  const auto index = static_cast<std::size_t>(id);
  entries_[index].key = key;
  mark(index);
  entries_[index].total_changed = true;
  return id;
}

std::size_t Ledger::expire(const Expires& expires, std::size_t max, std::int64_t since_ms,
                           const std::unordered_set<EntryId>& in_use) {
  struct Candidate {
    std::int64_t wall_ms = 0;
    EntryId id{};
  };
  std::vector<Candidate> candidates;
  std::size_t used = 0;
  for (const auto& [key, id] : ids_) {
    if (!expires(std::string_view(key).substr(0, key.find('{')))) continue;
    if (in_use.contains(id)) {
      ++used;
    } else {
      candidates.push_back({entries_[static_cast<std::size_t>(id)].wall_ms, id});
    }
  }
  std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
    return a.wall_ms != b.wall_ms ? a.wall_ms < b.wall_ms : a.id < b.id;
  });
  const std::size_t above = used + candidates.size() > max ? used + candidates.size() - max : 0;
  std::size_t deleted = 0;
  while (deleted < candidates.size() && (deleted < above || candidates[deleted].wall_ms < since_ms)) {
    Entry& entry = entries_[static_cast<std::size_t>(candidates[deleted].id)];
    ids_.erase(entry.key);
    if (entry.offered) expired_.push_back(std::move(entry.key));
    entry = Entry{};
    free_.push_back(candidates[deleted].id);
    ++deleted;
  }
  return deleted;
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
  if (!entry.still && reading.patience_ms > 0) entry.still = std::make_unique<StillMeter>();
  const bool first = !entry.this_run;
  Booking booking;
  if (open_interval(entry, stamp, booking)) {
    if (entry.still && !first && reading.raw == entry.raw && !entry.gate.holds()) {
      return stand(id, reading, stamp, booking);
    }
    const GateStep step =
        entry.gate.count(entry.raw, entry.steady_ns / 1000,
                         {reading.raw, reading.wrap, reading.rate_max, stamp.steady_ns / 1000,
                          stamp.uncertainty_ns / 1000, entry.still ? entry.still->moved_us() : 0, reading.from_zero});
    booking.verdict = step.verdict;
    booking.rate = step.rate;
    booking.bound = step.bound;
    if (step.verdict == GateVerdict::held) {
      booking.refused = true;
      booking.interval_us = 0;  // the reading that decides has the whole interval
      return booking;
    }
    const bool goes_on = step.verdict == GateVerdict::booked || step.verdict == GateVerdict::caught_up;
    booking.millionths = entry.still && goes_on ? entry.still->deduct(step.millionths) : step.millionths;
    booking.unobserved_us = step.unobserved_us;
    booking.reset = step.verdict == GateVerdict::restarted || step.verdict == GateVerdict::refused;
  } else {
    entry.gate.forget();
  }
  if (entry.still) entry.still->move({stamp.steady_ns / 1000, 0, reading.value});
  entry.raw = reading.raw;
  entry.power_uw = 0;
  close_interval(entry, stamp);
  book(id, booking.millionths);
  return booking;
}

Ledger::Booking Ledger::stand(EntryId id, const Reading& reading, const Stamp& stamp, Booking booking) {
  Entry& entry = entries_[static_cast<std::size_t>(id)];
  const StillMeter::Verdict verdict =
      entry.still->stand({stamp.steady_ns / 1000, reading.patience_ms * 1000, reading.value, reading.raw == 0});
  booking.stands = verdict.stands;
  booking.integrated = verdict.integrated;
  booking.millionths = verdict.microjoules;
  booking.unobserved_us = verdict.unobserved_us;
  close_interval(entry, stamp);
  book(id, booking.millionths);
  return booking;
}

void Ledger::bridge(EntryId id, std::int64_t millionths) {
  const std::unique_ptr<StillMeter>& still = entries_[static_cast<std::size_t>(id)].still;
  if (still) still->bridge(millionths);
}

void Ledger::add_point(Entry& entry, const PowerPoint& point, std::int64_t period_ns, Booking& booking) {
  const Stamp stamp{point.at_us * 1000, point.wall_ms};
  const auto power_uw = static_cast<std::int64_t>(std::llround(point.watts * 1e6));
  Booking part;
  if (open_interval(entry, stamp, part)) {
    const auto trapezoid_us = static_cast<std::int64_t>(trapezoid_periods * static_cast<double>(period_ns) / 1000);
    Wide picojoules = entry.remainder_pj;
    if (!entry.this_run) {
      part.unobserved_us = part.interval_us;
    } else if (part.interval_us <= trapezoid_us) {
      picojoules += (Wide{entry.power_uw} + power_uw) * part.interval_us / 2;
    } else {
      const std::int64_t held_us = std::min(part.interval_us, hold_max_us);
      picojoules += Wide{entry.power_uw} * held_us;
      part.unobserved_us = part.interval_us - held_us;
    }
    booking.millionths += static_cast<std::int64_t>(picojoules / picojoules_per_microjoule);
    entry.remainder_pj = static_cast<std::int64_t>(picojoules % picojoules_per_microjoule);
  }
  booking.unobserved_us += part.unobserved_us;
  booking.interval_us += part.interval_us;
  entry.raw = 0;
  entry.power_uw = power_uw;
  close_interval(entry, stamp);
}

Ledger::Booking Ledger::integrate(EntryId id, const Reading& reading, const Stamp& stamp, std::int64_t period_ns) {
  Entry& entry = entries_[static_cast<std::size_t>(id)];
  Booking booking;
  booking.rate = reading.value;
  if (!std::isfinite(reading.value) || reading.value < 0) {
    booking.refused = true;
    booking.verdict = GateVerdict::refused;
    return booking;
  }
  const MeterGate::Power power =
      entry.gate.integrate({reading.value, stamp.steady_ns / 1000, stamp.wall_ms}, reading.rate_max);
  booking.verdict = power.verdict;
  booking.bound = power.bound;
  booking.refused = power.points.empty();
  for (const PowerPoint& point : power.points)
    add_point(entry, point, period_ns, booking);
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
  rows.expired = std::exchange(expired_, {});
  for (const std::size_t index : changed_) {
    Entry& entry = entries_[index];
    if (entry.total_changed) rows.totals.push_back({entry.key, entry.total});
    if (entry.meter_changed) {
      rows.meters.push_back({entry.key, boot_id_, entry.raw, entry.steady_ns, entry.wall_ms, entry.power_uw});
    }
    entry.total_changed = false;
    entry.meter_changed = false;
    entry.offered = true;
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

std::vector<std::string> Ledger::last_read(std::string_view prefix) const {
  std::int64_t newest_ms = INT64_MIN;
  for (const Entry& entry : entries_) {
    if (entry.metered) newest_ms = std::max(newest_ms, entry.wall_ms);
  }
  std::vector<std::string> found = keys(prefix);
  std::erase_if(found, [&](const std::string& key) {
    const Entry& entry = entries_[static_cast<std::size_t>(ids_.find(key)->second)];
    return !entry.metered || newest_ms - entry.wall_ms > last_minute_ms;
  });
  return found;
}

void Ledger::restore() {
  for (const std::size_t index : taken_) {
    if (entries_[index].key.empty()) continue;  // deleted meanwhile
    mark(index);
    entries_[index].total_changed = true;
    entries_[index].meter_changed = entries_[index].metered;
  }
  taken_.clear();
  changed_states_.merge(taken_states_);
  taken_states_.clear();
}

}  // namespace perjoule
