#include "daemon/recorder.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "daemon/metrics.hpp"

namespace perjoule {

namespace {

double units(std::int64_t millionths) {
  return static_cast<double>(millionths) / 1e6;
}

// Label values and device as one text, to compare a reading with the one at the same place a tick before.
std::string_view identity(const Batch& batch, const Reading& reading) {
  const std::string_view labels = batch.labels(reading);
  return {labels.data(), labels.size() + reading.device_size};
}

// A series' labels but for its source: equal for everything that one device booked on one metric.
std::string without_source(std::string_view labels) {
  const std::size_t at = labels.find("source=\"");
  if (at == std::string_view::npos) return std::string(labels);
  const std::size_t end = labels.find('"', at + 8);
  return std::string(labels.substr(0, at)).append(labels.substr(end));
}

}  // namespace

Recorder::Recorder(Latest& latest, Ledger& ledger, storage::Sink* sink, std::size_t series_max)
    : latest_(latest),
      ledger_(ledger),
      sink_(sink),
      series_(series_max, [this](SeriesId id, const SeriesTable::Series& series) {
        latest_.declare(id, *series.metric, series.labels);
        if (sink_ == nullptr) return;
        sink_->describe(storage::SeriesDescription{id, std::string(series.metric->name), series.labels,
                                                   series.metric->unit, series.metric->kind});
      }) {}

ProbeId Recorder::open(ProbeInfo info) {
  const auto id = static_cast<ProbeId>(probes_.size());
  if (sink_ != nullptr) {
    sink_->describe(storage::GroupDescription{static_cast<storage::GroupId>(id), info.source, info.device,
                                              info.period_ns / 1'000'000});
  }
  probes_.push_back(ProbeState{std::move(info), {}, {}, true});
  return id;
}

void Recorder::close(ProbeId probe) {
  ProbeState& state = probes_[static_cast<std::size_t>(probe)];
  latest_.remove(state.shown);
  state = ProbeState{std::move(state.info), {}, {}, false};
  pending_.erase(probe);
  in_flight_.erase(probe);
}

const Recorder::Totals* Recorder::totals(const Metric& metric, std::string_view values) {
  std::string cache_key = std::string(metric.name) + '\0' + std::string(values);
  if (const auto found = totals_.find(cache_key); found != totals_.end()) return &found->second;
  const std::optional<SeriesId> series = series_.identify(metric, values);
  if (!series) return nullptr;
  const std::string prefix = std::string(metric.name) + '{';
  const std::string own = series_[*series].labels;
  Totals totals{{*series, ledger_.entry(prefix + own + '}')}};
  for (const std::string& key : ledger_.keys(prefix)) {
    const std::string labels = key.substr(prefix.size(), key.size() - prefix.size() - 1);
    if (labels == own || without_source(labels) != without_source(own)) continue;
    if (const auto sibling = series_.adopt(metric, labels)) totals.push_back({*sibling, ledger_.entry(key)});
  }
  return &totals_.emplace(std::move(cache_key), std::move(totals)).first->second;
}

const Recorder::Resolved& Recorder::resolve(ProbeState& probe, std::size_t position, const Batch& batch,
                                            const Reading& reading) {
  if (probe.readings.size() <= position) probe.readings.resize(position + 1);
  Resolved& resolved = probe.readings[position];
  if (resolved.metric == reading.metric && resolved.identity == identity(batch, reading)) return resolved;
  resolved = Resolved{reading.metric, std::string(identity(batch, reading)), {}, {}, nullptr, nullptr, nullptr};
  const std::string_view labels = batch.labels(reading);
  if (reading.form == Reading::Form::value) {
    resolved.series = series_.identify(*reading.metric, labels);
    if (resolved.series) show(probe, *resolved.series);
    return resolved;
  }
  resolved.total = totals(*reading.metric, labels);
  if (reading.rate != nullptr) resolved.rate = series_.identify(*reading.rate, labels);
  if (reading.metric->unit == Unit::joule) {
    const std::string_view device = batch.device(reading);
    resolved.by_source = totals(energy_by_source, label_values({device, name(reading.origin)}));
    resolved.unobserved = totals(energy_unobserved, label_values({device}));
  }
  if (resolved.rate) show(probe, *resolved.rate);
  for (const Totals* totals_of : {resolved.total, resolved.by_source, resolved.unobserved}) {
    for (std::size_t i = 0; totals_of != nullptr && i < totals_of->size(); ++i)
      show(probe, (*totals_of)[i].series);
  }
  return resolved;
}

void Recorder::show(ProbeState& probe, SeriesId id) {
  if (std::find(probe.shown.begin(), probe.shown.end(), id) == probe.shown.end()) probe.shown.push_back(id);
}

void Recorder::emit(const Totals& totals) {
  for (const Persisted& total : totals)
    persisted_.push_back({total.series, units(ledger_.total(total.entry))});
}

void Recorder::accept_value(const Resolved& resolved, const Reading& reading, Accepted& accepted) {
  if (!resolved.series || !std::isfinite(reading.value) || is_repeated(*resolved.series)) {
    ++accepted.refused;
    return;
  }
  plain_.push_back({*resolved.series, reading.value});
}

void Recorder::accept_energy(ProbeState& probe, const Resolved& resolved, const Batch& batch, const Reading& reading,
                             const Stamp& stamp, Accepted& accepted) {
  if (resolved.total == nullptr || is_repeated(resolved.total->front().series)) {
    ++accepted.refused;
    return;
  }
  const bool integral = reading.form == Reading::Form::integral;
  const Ledger::Booking booking =
      integral ? ledger_.integrate(resolved.total->front().entry, reading, stamp, probe.info.period_ns)
               : ledger_.meter(resolved.total->front().entry, reading, stamp);
  accepted.refused += booking.refused ? 1U : 0U;
  accepted.resets += booking.reset ? 1U : 0U;
  std::optional<double> rate;
  if (integral && !booking.refused) rate = reading.value;
  if (!integral && booking.interval_us > 0 && booking.unobserved_us == 0) {
    rate = static_cast<double>(booking.millionths) / static_cast<double>(booking.interval_us);
  }
  if (rate && resolved.rate) plain_.push_back({*resolved.rate, *rate});
  if (resolved.by_source != nullptr) ledger_.book(resolved.by_source->front().entry, booking.millionths);
  if (resolved.unobserved != nullptr) ledger_.book(resolved.unobserved->front().entry, booking.unobserved_us);
  for (const Totals* totals_of : {resolved.total, resolved.by_source, resolved.unobserved}) {
    if (totals_of != nullptr) emit(*totals_of);
  }
  node_.observe({resolved.total->front().series, reading.metric, batch.labels(reading), reading.origin, rate,
                 booking.millionths, booking.unobserved_us, stamp.steady_ns, probe.info.stale_after_ns});
}

void Recorder::derive_node(const Stamp& stamp) {
  const std::optional<NodePower::Derived> derived = node_.derive(stamp.steady_ns);
  if (!derived) return;
  const auto series_of = [&](const Metric& metric, NodeSource source) {
    return series_.identify(metric, label_values({name(source)}));
  };
  for (const NodeSource source : derived->gone) {
    if (const auto id = series_of(node_reading, source)) latest_.remove(*id);
  }
  for (const NodePower::Reading& reading : derived->readings) {
    if (const auto id = series_of(node_reading, reading.source)) plain_.push_back({*id, reading.watts});
  }
  if (!derived->best) return;
  const NodeSource best = derived->best->source;
  for (const NodeSource source : node_sources) {
    if (!derived->best_changed || source == best) continue;
    if (const auto id = series_of(node_power, source)) latest_.remove(*id);
  }
  if (const auto id = series_of(node_power, best)) plain_.push_back({*id, derived->best->watts});
  const auto book = [&](const Metric& metric, std::initializer_list<std::string_view> values, std::int64_t millionths) {
    const Totals* total = totals(metric, label_values(values));
    if (total == nullptr) return;
    ledger_.book(total->front().entry, millionths);
    emit(*total);
  };
  book(node_energy, {name(best)}, derived->booked);
  book(energy_by_source, {"node", name(derived->origin)}, derived->booked);
  book(energy_unobserved, {"node"}, derived->unobserved_us);
}

Recorder::Accepted Recorder::accept(ProbeId probe, const Batch& batch, const Stamp& stamp) {
  Accepted accepted;
  ProbeState& state = probes_[static_cast<std::size_t>(probe)];
  if (!state.open) return accepted;
  current_ = probe;
  plain_.clear();
  persisted_.clear();
  ++passes_;
  std::size_t position = 0;
  for (const Reading& reading : batch.readings()) {
    const Resolved& resolved = resolve(state, position++, batch, reading);
    if (reading.form == Reading::Form::value) {
      accept_value(resolved, reading, accepted);
    } else {
      accept_energy(state, resolved, batch, reading, stamp, accepted);
    }
  }
  derive_node(stamp);
  ++passes_;
  drop_repeats(plain_, accepted);
  drop_repeats(persisted_, accepted);
  accepted.samples = plain_.size() + persisted_.size();
  publish(state, stamp);
  return accepted;
}

void Recorder::drop_repeats(std::vector<Sample>& samples, Accepted& accepted) {
  accepted.refused += std::erase_if(samples, [this](const Sample& sample) { return is_repeated(sample.series); });
}

bool Recorder::is_repeated(SeriesId id) {
  const auto index = static_cast<std::size_t>(id);
  if (seen_.size() <= index) seen_.resize(series_.size());
  return std::exchange(seen_[index], passes_) == passes_;
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
    pending.samples = persisted_;
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

void Recorder::commit_last() {
  if (sink_ == nullptr) return;
  if (committing_) ledger_.restore();
  sink_->commit(++generation_, ledger_.take_changed(), true, [](const storage::Report&) {});
}

void Recorder::finish_commit(const storage::Report& report, const OnReport& on_report) {
  committing_ = false;
  for (auto& [probe, pending] : in_flight_) {
    if (report.ledger_committed) {
      latest_.set(pending.samples, pending.steady_ns, pending.stale_after_ns);
    } else {
      latest_.touch(pending.samples, pending.steady_ns);
      pending_.try_emplace(probe, std::move(pending));
    }
  }
  in_flight_.clear();
  if (!report.ledger_committed) ledger_.restore();
  if (on_report) on_report(report);
}

}  // namespace perjoule
