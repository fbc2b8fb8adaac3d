// The part of Recorder that finds the totals of a reading: their keys in the ledger, their series, and those that
// differ from them in the source only.
#include <algorithm>
#include <span>
#include <string>
#include <utility>

#include "collectors/labels.hpp"
#include "daemon/record/metrics.hpp"
#include "daemon/record/recorder.hpp"

namespace perjoule {

namespace {

// What a total and its siblings have in common: the ledger's key without the label `source`.
std::string sibling_key(std::string_view key) {
  const std::size_t brace = std::min(key.find('{'), key.size() - 1);
  return std::string(key.substr(0, brace + 1)) +
         select_labels(key.substr(brace + 1, key.size() - brace - 2), [](auto label) { return label != "source"; });
}

std::string source_of(std::string_view key) {
  const std::size_t brace = std::min(key.find('{'), key.size() - 1);
  const auto labels = parse_labels(key.substr(brace + 1, key.size() - brace - 2));
  return std::string(label_value(labels.value_or(Labels{}), "source"));
}

// The value of a label of the reading's metric; "" where the metric has no such label.
std::string_view label_of(const Batch& batch, const Reading& reading, std::string_view label) {
  const auto labels = std::span(reading.metric->labels).first(reading.metric->label_count);
  const auto found = std::find(labels.begin(), labels.end(), label);
  return found == labels.end() ? std::string_view()
                               : batch.label(reading, static_cast<std::size_t>(found - labels.begin()));
}

}  // namespace

// After a restart the ledger has totals that no probe has read yet.
void Recorder::remember_sources() {
  for (const std::string& key : ledger_.keys("")) {
    if (key.find('{') == std::string::npos || key.find("source=") == std::string::npos) continue;
    kept_[sibling_key(key)].push_back(key);
  }
}

const Recorder::Totals* Recorder::totals(const Metric& metric, std::string_view values) {
  std::string cache_key = std::string(metric.name) + '\0' + std::string(values);
  auto found = totals_.find(cache_key);
  if (found == totals_.end()) {
    const std::optional<SeriesId> series = series_.identify(metric, values, source_);
    if (!series) return nullptr;
    const Persisted own{*series, ledger_.entry(ledger_key(metric, values))};
    found = totals_.emplace(std::move(cache_key), Totals{own, siblings(metric, values, own)}).first;
  }
  show_as(found->second);
  return &found->second;
}

Recorder::Siblings* Recorder::siblings(const Metric& metric, std::string_view values, const Persisted& own) {
  const std::string key = sibling_key(ledger_.key(own.entry));
  Siblings& siblings = siblings_[key];
  // After a restart the ledger has totals that no probe has read yet.
  if (const auto kept = kept_.extract(key)) {
    for (const std::string& other : kept.mapped()) {
      std::string other_values;
      for (std::size_t i = 0; i < metric.label_count; ++i)
        other_values += (metric.labels[i] == "source" ? source_of(other) : std::string(label_value(values, i))) + '\0';
      if (const auto series = series_.identify(metric, other_values, source_))
        siblings.push_back({*series, ledger_.entry(other)});
    }
  }
  const auto is_own = [&](const Persisted& sibling) { return sibling.entry == own.entry; };
  if (std::none_of(siblings.begin(), siblings.end(), is_own)) siblings.push_back(own);
  return &siblings;
}

// A total is shown as one series: the one with the labels that it was booked with last.
void Recorder::show_as(const Totals& totals) {
  for (Persisted& sibling : *totals.siblings) {
    if (sibling.entry != totals.own.entry || sibling.series == totals.own.series) continue;
    latest_.remove(sibling.series);
    sibling.series = totals.own.series;
  }
}

void Recorder::ProbeState::show(const Totals& totals) {
  for (const Persisted& sibling : *totals.siblings)
    show(sibling.series);
}

const Recorder::Totals* Recorder::by_source(const Batch& batch, const Reading& reading, Origin origin) {
  return totals(energy_by_source, label_values({batch.device(reading), name(origin), label_of(batch, reading, "gpu"),
                                                label_of(batch, reading, "uuid")}));
}

const Recorder::Totals* Recorder::unobserved(const Batch& batch, const Reading& reading) {
  return totals(energy_unobserved, label_values({batch.device(reading), label_of(batch, reading, "gpu"),
                                                 label_of(batch, reading, "uuid")}));
}

}  // namespace perjoule
