// The part of Recorder that goes on beside the readings: the daemon's own series, the ends of series, and giving back
// the memory of what is no longer used.
#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

#include "daemon/record/recorder.hpp"

namespace perjoule {

namespace {

constexpr std::int64_t ends_late_ms = 10'000;  // a reading is no older when it is accepted; else the clock was set back

}  // namespace

void Recorder::show_own(std::span<const Sample> samples, const Stamp& now) {
  latest_.set(samples, now.steady_ns, Latest::never_stale);
  for (const Sample& sample : samples) {
    const auto [found, added] = own_samples_.try_emplace(sample.series);
    OwnSample& own = found->second;
    own.shown = true;
    if (added) own.prompt = series_[sample.series].metric->unit == Unit::none;
    own.changed =
        own.changed || added || std::bit_cast<std::uint64_t>(own.value) != std::bit_cast<std::uint64_t>(sample.value);
    own.value = sample.value;
  }
}

void Recorder::hide_own(std::span<const SeriesId> ids) {
  latest_.remove(ids);
  for (const SeriesId id : ids)
    own_samples_.erase(id);
}

void Recorder::keep_own(const Metric& metric, const std::string& labels, double value) {
  if (const auto id = series_.adopt(metric, labels)) own_samples_[*id] = {value, false, false, true};
}

void Recorder::push_own(const Stamp& now, bool all) {
  series_.set_now(now.steady_ns);
  storage::Tick tick{static_cast<storage::GroupId>(own_), now.wall_ms, {}};
  for (auto& [id, own] : own_samples_) {
    if (all ? !own.shown && !own.changed : !own.prompt || !own.changed) continue;
    own.changed = false;
    series_[id].used_ns = now.steady_ns;
    tick.samples.push_back({id, own.value});
  }
  if (sink_ != nullptr && !tick.samples.empty()) sink_->push(std::move(tick));
}

void Recorder::end_series(const Stamp& now) {
  push_ends(latest_.take_ended(now.steady_ns), now);
}

void Recorder::push_ends(std::vector<SeriesId> ended, const Stamp& now) {
  if (sink_ == nullptr || ended.empty()) return;
  std::sort(ended.begin(), ended.end());
  ended.erase(std::unique(ended.begin(), ended.end()), ended.end());
  // Batches and the housekeeping end series in any order, and the history refuses a tick that is not newer.
  const bool late = ends_ms_ >= now.wall_ms && ends_ms_ - now.wall_ms < ends_late_ms;
  ends_ms_ = late ? ends_ms_ + 1 : now.wall_ms;
  storage::Tick tick{static_cast<storage::GroupId>(ends_), ends_ms_, {}};
  for (const SeriesId id : ended)
    tick.samples.push_back({id, storage::end_mark});
  sink_->push(std::move(tick));
}

bool Recorder::make_room(std::size_t drop_max) {
  // By source: the earliest second-last batch of its open probes.
  std::map<std::string_view, std::int64_t> unused_before;
  for (const auto& [id, probe] : probes_) {
    if (!probe.open || probe.before_ns == 0) continue;
    const auto [found, added] = unused_before.try_emplace(probe.info.source, probe.before_ns);
    if (!added) found->second = std::min(found->second, probe.before_ns);
  }
  std::unordered_set<SeriesId> unused;
  bool all = true;
  for (const SeriesTable::Series& series : series_.places()) {
    if (series.metric == nullptr) continue;
    const auto before = unused_before.find(series.source);
    if (before == unused_before.end() || series.used_ns >= before->second) continue;
    all = unused.size() < drop_max;
    if (!all) break;
    unused.insert(series.id);
  }
  drop(std::move(unused), now_);
  return all;
}

void Recorder::bound_totals(Ledger::Expires families, std::int64_t keep_ms) {
  bounded_ = std::move(families);
  keep_totals_ms_ = keep_ms;
}

void Recorder::expire_totals(const Stamp& now) {
  if (!bounded_) return;
  std::unordered_set<EntryId> in_use;
  for (const auto& [key, siblings] : siblings_) {
    for (const Persisted& total : siblings)
      in_use.insert(total.entry);
  }
  const std::int64_t since_ms = keep_totals_ms_ > 0 ? now.wall_ms - keep_totals_ms_ : INT64_MIN;
  expired_totals_ += ledger_.expire(bounded_, totals_max, since_ms, in_use);
  totals_checked_ = ledger_.size();
}

void Recorder::drop_unused(const Stamp& now) {
  std::unordered_set<SeriesId> unused;
  for (const SeriesTable::Series& series : series_.places()) {
    if (series.metric != nullptr && now.steady_ns - series.used_ns > unused_max_ns) unused.insert(series.id);
  }
  drop(std::move(unused), now);
  expire_totals(now);
  for (auto known = ids_.begin(); known != ids_.end();) {
    const auto probe = probes_.find(known->second);
    if (probe->second.open || now.steady_ns - probe->second.used_ns <= unused_max_ns) {
      ++known;
      continue;
    }
    if (sink_ != nullptr) sink_->forget(static_cast<storage::GroupId>(known->second));
    probes_.erase(probe);
    known = ids_.erase(known);
  }
}

// Totals that differ in their source only are shown together, so they go together. The ledger keeps them.
std::unordered_set<const Recorder::Totals*> Recorder::drop_totals(std::unordered_set<SeriesId>& ids) {
  std::unordered_set<const Siblings*> gone;
  for (auto siblings = siblings_.begin(); siblings != siblings_.end();) {
    const auto is_dropped = [&](const Persisted& total) { return ids.contains(total.series); };
    if (std::none_of(siblings->second.begin(), siblings->second.end(), is_dropped)) {
      ++siblings;
      continue;
    }
    for (const Persisted& total : siblings->second) {
      ids.insert(total.series);
      const std::string& key = ledger_.key(total.entry);
      if (key.find("source=") != std::string::npos) kept_[siblings->first].push_back(key);
    }
    gone.insert(&siblings->second);
    siblings = siblings_.erase(siblings);
  }
  std::unordered_set<const Totals*> dropped;
  for (auto total = totals_.begin(); total != totals_.end();) {
    const bool is_dropped = ids.contains(total->second.own.series) || gone.contains(total->second.siblings);
    if (is_dropped) dropped.insert(&total->second);
    total = is_dropped ? totals_.erase(total) : std::next(total);
  }
  return dropped;
}

void Recorder::drop(std::unordered_set<SeriesId> ids, const Stamp& now) {
  if (ids.empty()) return;
  ++drops_;
  const std::unordered_set<const Totals*> totals = drop_totals(ids);
  const auto is_dropped = [&](const std::optional<SeriesId>& id) { return id && ids.contains(*id); };
  for (auto& [id, probe] : probes_) {
    for (Resolved& resolved : probe.readings) {
      if (is_dropped(resolved.series) || is_dropped(resolved.rate) || totals.contains(resolved.total) ||
          totals.contains(resolved.by_source) || totals.contains(resolved.unobserved))
        resolved = Resolved{};
    }
    std::erase_if(probe.shown, [&](SeriesId series) { return ids.contains(series); });
  }
  for (auto* pending : {&pending_, &in_flight_}) {
    for (auto& [id, of_probe] : *pending)
      std::erase_if(of_probe.samples, [&](const Sample& sample) { return ids.contains(sample.series); });
  }
  for (const auto& row : rows_)
    row->forget(ids);
  push_ends(latest_.forget(ids), now);
  for (const SeriesId id : ids)
    own_samples_.erase(id);
  if (sink_ != nullptr) sink_->forget({ids.begin(), ids.end()});
  series_.drop(ids);
}

}  // namespace perjoule
