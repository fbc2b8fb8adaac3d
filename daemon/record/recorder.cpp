#include "daemon/record/recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <stdexcept>
#include <utility>

#include "daemon/record/metrics.hpp"

namespace perjoule {

namespace {

constexpr std::size_t totals_slack = 2'000;  // so many more totals, and the ledger is bounded before its minute

double units(std::int64_t millionths) {
  return static_cast<double>(millionths) / 1e6;
}

// Label values and device as one string, to compare a reading with the one at the same position a tick before.
std::string_view identity(const Batch& batch, const Reading& reading) {
  const std::string_view labels = batch.labels(reading);
  return {labels.data(), labels.size() + reading.device_size};
}

}  // namespace

Recorder::Recorder(Latest& latest, Ledger& ledger, storage::Sink* sink, Rows rows, SeriesLimits limits)
    : latest_(latest),
      ledger_(ledger),
      sink_(sink),
      series_(limits,
              [this](SeriesId id, const SeriesTable::Series& series) {
                latest_.declare(id, *series.metric, series.labels);
                if (sink_ == nullptr) return;
                sink_->describe(storage::SeriesDescription{id, std::string(series.metric->name), series.labels,
                                                           series.metric->unit, series.metric->kind,
                                                           series.metric->storage_step});
              }),
      rows_(std::move(rows)) {
  ends_ = open_probe({std::string(storage::ends_source), std::string(storage::ends_device), 1'000'000, 0});
  own_ = open_probe({std::string(storage::ends_source), "own", own_period_ns, 0});
  // A programming error, visible at the first start: RowSet has no bit for a further row.
  if (rows_.size() > rows_max) throw std::length_error(fmt::format("more than {} derived rows", rows_max));
  remember_sources();
}

void Recorder::configure(const config::Efficiency& settings) {
  for (const auto& row : rows_)
    row->configure(settings);
}

void Recorder::settle(bool settled, const Stamp& now) {
  for (const auto& row : rows_)
    row->settle(settled);
  const bool has_read = current_ != ends_ && current_ != own_;
  if (settled && has_read) accept(current_, Batch(), now);  // what waited for it is derived
}

std::vector<std::string> Recorder::notes(std::int64_t now_ns) const {
  std::vector<std::string> notes;
  for (const auto& row : rows_) {
    if (std::string note = row->note(now_ns); !note.empty()) notes.push_back(std::move(note));
  }
  return notes;
}

Recorder::RowSet Recorder::observers(const Metric& metric, std::size_t first) const {
  RowSet set;
  for (std::size_t i = first; i < rows_.size(); ++i) {
    const auto inputs = rows_[i]->inputs();
    set[i] = std::find(inputs.begin(), inputs.end(), &metric) != inputs.end();
  }
  return set;
}

ProbeId Recorder::open_probe(ProbeInfo info) {
  const auto [known, added] = ids_.try_emplace({info.source, info.device}, static_cast<ProbeId>(next_probe_));
  const ProbeId id = known->second;
  if (added) ++next_probe_;
  ProbeState& state = probes_[id];
  if (state.open) close_probe(id);
  if (sink_ != nullptr && (added || state.info.period_ns != info.period_ns)) {
    sink_->describe(storage::GroupDescription{static_cast<storage::GroupId>(id), info.source, info.device,
                                              info.period_ns / 1'000'000});
  }
  state = ProbeState{std::move(info), {}, {}, true};
  return id;
}

void Recorder::close_probe(ProbeId probe) {
  ProbeState& state = probes_.at(probe);
  const std::unordered_set<SeriesId> closed(state.shown.begin(), state.shown.end());
  for (const auto& row : rows_)
    row->close(closed, now_.steady_ns);
  latest_.remove(std::vector<SeriesId>(state.shown.begin(), state.shown.end()));
  state = ProbeState{std::move(state.info), {}, {}, false, state.used_ns};
  pending_.erase(probe);
  in_flight_.erase(probe);
}

const Recorder::Resolved& Recorder::resolve(ProbeState& probe, std::size_t position, const Batch& batch,
                                            const Reading& reading) {
  if (probe.readings.size() <= position) probe.readings.resize(position + 1);
  Resolved& resolved = probe.readings[position];
  // What was refused is tried again each time, because there may be room by now.
  const bool refused = resolved.total == nullptr && !resolved.series;
  if (!refused && resolved.metric == reading.metric && resolved.identity == identity(batch, reading)) return resolved;
  resolved = Resolved{reading.metric, std::string(identity(batch, reading)), {}, {}, nullptr, nullptr,
                      nullptr,        observers(*reading.metric, 0)};
  const std::string_view labels = batch.labels(reading);
  if (reading.form == Reading::Form::value) {
    resolved.series = series_.identify(*reading.metric, labels, source_);
    if (resolved.series) probe.show(*resolved.series);
    return resolved;
  }
  resolved.total = totals(*reading.metric, labels);
  if (reading.rate != nullptr) resolved.rate = series_.identify(*reading.rate, labels, source_);
  if (reading.metric->unit == Unit::joule) {
    resolved.by_source = by_source(batch, reading, reading.origin);
    resolved.unobserved = unobserved(batch, reading);
  }
  if (resolved.rate) probe.show(*resolved.rate);
  for (const Totals* totals_of : {resolved.total, resolved.by_source, resolved.unobserved}) {
    if (totals_of != nullptr) probe.show(*totals_of);
  }
  return resolved;
}

// Each total once, with its value at the end of the batch: several bookings may be on one total, or on siblings.
void Recorder::collect_totals() {
  for (const Totals* of : emitted_) {
    for (const Persisted& total : *of->siblings) {
      if (!is_repeated(total.series)) persisted_.push_back({total.series, units(ledger_.total(total.entry))});
    }
  }
}

void Recorder::accept_value(const ProbeState& probe, const Resolved& resolved, const Batch& batch,
                            const Reading& reading, const Stamp& stamp, Accepted& accepted) {
  if (!resolved.series || !std::isfinite(reading.value) || is_repeated(*resolved.series)) {
    ++accepted.refused;
    return;
  }
  plain_.push_back({*resolved.series, reading.value});
  observe(resolved.observers, {*resolved.series, reading.metric, batch.labels(reading), reading.origin, reading.value,
                               0, 0, stamp.steady_ns, probe.info.stale_after_ns, 0});
}

void Recorder::observe(RowSet observers, const Observation& observation) {
  for (std::size_t i = 0; observers.any() && i < rows_.size(); ++i) {
    if (observers[i]) rows_[i]->observe(observation);
  }
}

// What a row derives goes the same way as a reading. Only the rows after it observe its bookings, so that the order of
// the rows decides and no booking goes round in a circle.
class Recorder::Deriving final : public Derivation {
 public:
  Deriving(Recorder& recorder, ProbeState& probe, const Stamp& stamp)
      : recorder_(recorder), probe_(probe), stamp_(stamp) {}
  void run(std::size_t position) {
    position_ = position;
    recorder_.rows_[position]->derive(stamp_, *this);
  }

  void show(const Metric& metric, Values labels, double value) override {
    const auto id = recorder_.series_.identify(metric, label_values(labels), recorder_.source_);
    if (!id) return;
    own(*id);
    recorder_.plain_.push_back({*id, value});
  }
  void book(const Metric& metric, Values labels, std::int64_t millionths) override {
    const std::string values = label_values(labels);
    const Totals* total = recorder_.totals(metric, values);
    if (total == nullptr) return;
    recorder_.ledger_.book(total->own.entry, millionths);
    recorder_.emitted_.push_back(total);
    if (recorder_.rows_[position_]->of_device()) probe_.show(*total);
    recorder_.observe(recorder_.observers(metric, position_ + 1),
                      {total->own.series, &metric, values, Origin::counter, std::nullopt, millionths, 0,
                       stamp_.steady_ns, probe_.info.stale_after_ns, 0});
  }
  void remove(const Metric& metric, Values labels) override {
    if (const auto id = recorder_.series_.identify(metric, label_values(labels))) recorder_.latest_.remove(*id);
  }

 private:
  // The series of a row that is of the device disappear with the probe; those of the node stay.
  void own(SeriesId id) {
    if (recorder_.rows_[position_]->of_device()) probe_.show(id);
  }
  Recorder& recorder_;
  ProbeState& probe_;
  const Stamp& stamp_;
  std::size_t position_ = 0;
};

void Recorder::derive(ProbeState& probe, const Stamp& stamp) {
  Deriving deriving(*this, probe, stamp);
  for (std::size_t i = 0; i < rows_.size(); ++i)
    deriving.run(i);
}

bool Recorder::prepare(ProbeId probe, const Batch& batch, const Stamp& stamp, std::size_t new_max) {
  const auto known = probes_.find(probe);
  if (known == probes_.end() || !known->second.open) return true;
  ProbeState& state = known->second;
  begin(probe, state, stamp);
  state.makes_room = state.makes_room || (state.prepared == 0 && series_.is_tight(source_));
  if (state.makes_room && !make_room(new_max)) return false;
  state.makes_room = false;
  const std::span<const Reading> readings = batch.readings();
  if (state.prepared == 0) state.prepared_drops = drops_;
  const std::uint64_t before = series_.given();
  const std::size_t room = series_.room(source_);
  while (state.prepared < readings.size() && series_.given() - before < room) {
    resolve(state, state.prepared, batch, readings[state.prepared]);
    ++state.prepared;
    if (series_.given() - before >= new_max) return false;
  }
  return true;
}

void Recorder::begin(ProbeId probe, const ProbeState& state, const Stamp& stamp) {
  current_ = probe;
  source_ = state.info.source;
  now_ = stamp;
  series_.set_now(stamp.steady_ns);
}

Recorder::Accepted Recorder::accept(ProbeId probe, const Batch& batch, const Stamp& stamp) {
  Accepted accepted;
  const auto known = probes_.find(probe);
  // A call that hung may return after its device was closed.
  if (known == probes_.end() || !known->second.open) return accepted;
  while (!prepare(probe, batch, stamp)) {
  }
  ProbeState& state = known->second;
  begin(probe, state, stamp);
  const std::size_t resolved_before = state.prepared_drops == drops_ ? state.prepared : 0;
  state.prepared = 0;
  state.before_ns = std::exchange(state.used_ns, stamp.steady_ns);
  plain_.clear();
  persisted_.clear();
  emitted_.clear();
  ++passes_;
  std::size_t position = 0;
  for (const Reading& reading : batch.readings()) {
    const bool again = position >= resolved_before;
    const Resolved& resolved = again ? resolve(state, position, batch, reading) : state.readings[position];
    ++position;
    if (reading.form == Reading::Form::value) {
      accept_value(state, resolved, batch, reading, stamp, accepted);
    } else {
      accept_energy(state, resolved, batch, reading, stamp, accepted);
    }
  }
  derive(state, stamp);
  ++passes_;  // now over the samples: the rows may have shown a series that was read, or one of them twice
  accepted.refused += std::erase_if(plain_, [this](const Sample& sample) { return is_repeated(sample.series); });
  collect_totals();
  accepted.samples = plain_.size() + persisted_.size();
  publish(state, stamp);
  // Only now, because until here the batch's series and totals are referred to.
  if (ledger_.size() > totals_checked_ + totals_slack) expire_totals(stamp);
  if (on_change_) on_change_();
  return accepted;
}

bool Recorder::is_repeated(SeriesId id) {
  SeriesTable::Series& series = series_[id];
  series.used_ns = now_.steady_ns;
  return std::exchange(series.pass, passes_) == passes_;
}

void Recorder::publish(const ProbeState& probe, const Stamp& stamp) {
  latest_.set(plain_, stamp.steady_ns, probe.info.stale_after_ns);
  if (sink_ == nullptr) {
    latest_.set(persisted_, stamp.steady_ns, probe.info.stale_after_ns);
    return;
  }
  if (!persisted_.empty()) {
    Pending& pending = pending_[current_];
    pending.steady_ns = stamp.steady_ns;
    pending.stale_after_ns = probe.info.stale_after_ns;
    // A total that only an earlier batch of this second has stays, because it may not come again for long.
    std::erase_if(pending.samples, [this](const Sample& earlier) {
      return !series_.contains(earlier.series) || series_[earlier.series].pass == passes_;
    });
    pending.samples.insert(pending.samples.end(), persisted_.begin(), persisted_.end());
    latest_.read(persisted_, stamp.steady_ns);
  }
  storage::Tick tick{static_cast<storage::GroupId>(current_), stamp.wall_ms, {}};
  tick.samples.reserve(plain_.size() + persisted_.size());
  tick.samples.insert(tick.samples.end(), plain_.begin(), plain_.end());
  tick.samples.insert(tick.samples.end(), persisted_.begin(), persisted_.end());
  if (!tick.samples.empty()) sink_->push(std::move(tick));
}

void Recorder::commit(bool history, const OnReport& on_report) {
  if (sink_ == nullptr || committing_) return;
  committing_ = true;
  in_flight_ = std::exchange(pending_, {});
  sink_->commit(++generation_, ledger_.take_changed(), history,
                [this, on_report](const storage::Report& report) { finish_commit(report, on_report); });
}

void Recorder::commit_last(const Stamp& now) {
  if (sink_ == nullptr) return;
  std::vector<SeriesId> ended = latest_.take_open();
  for (const auto& [id, sample] : own_samples_)
    ended.push_back(id);
  push_ends(std::move(ended), now);
  // The report of the commit in flight may never come: store its rows again.
  if (committing_) ledger_.restore();
  sink_->commit(++generation_, ledger_.take_changed(), true, [](const storage::Report&) {});
}

// Totals of a commit that failed wait for the next one. What a newer batch has is newer.
void Recorder::restore(ProbeId probe, Pending failed) {
  const auto newer = pending_.find(probe);
  if (newer == pending_.end()) {
    pending_.emplace(probe, std::move(failed));
    return;
  }
  std::vector<Sample>& samples = newer->second.samples;
  std::unordered_set<SeriesId> has;
  for (const Sample& sample : samples)
    has.insert(sample.series);
  std::copy_if(failed.samples.begin(), failed.samples.end(), std::back_inserter(samples),
               [&](const Sample& sample) { return !has.contains(sample.series); });
}

void Recorder::finish_commit(const storage::Report& report, const OnReport& on_report) {
  committing_ = false;
  for (auto& [probe, pending] : in_flight_) {
    if (report.ledger_committed) {
      latest_.set(pending.samples, pending.steady_ns, pending.stale_after_ns);
    } else {
      restore(probe, std::move(pending));
    }
  }
  in_flight_.clear();
  if (!report.ledger_committed) ledger_.restore();
  if (on_change_) on_change_();
  if (on_report) on_report(report);
}

}  // namespace perjoule
