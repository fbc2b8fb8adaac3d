#include "daemon/efficiency/node_row.hpp"

#include <array>
#include <utility>

#include "collectors/gpu/metrics.hpp"
#include "collectors/labels.hpp"
#include "collectors/power/metrics.hpp"
#include "collectors/sensor_metrics.hpp"
#include "daemon/record/ledger_migration.hpp"
#include "daemon/record/metrics.hpp"
#include "daemon/record/series.hpp"

namespace perjoule {

namespace {

// Of a key of the ledger: NAME{LABELS}.
Labels labels_of(std::string_view key) {
  const std::size_t brace = std::min(key.find('{'), key.size() - 1);
  return parse_labels(key.substr(brace + 1, key.size() - brace - 2)).value_or(Labels{});
}

std::vector<std::string> sources_of(const Ledger& ledger, const Metric& metric, std::string_view device) {
  std::vector<std::string> sources;
  for (const std::string& key : ledger.keys(std::string(metric.name) + '{')) {
    const Labels labels = labels_of(key);
    if (label_value(labels, "device") == device) sources.emplace_back(label_value(labels, "source"));
  }
  return sources;
}

std::set<std::string> lines_of(std::string_view text) {
  std::set<std::string> lines;
  for (; text.find('\n') != std::string_view::npos; text.remove_prefix(text.find('\n') + 1))
    lines.emplace(text.substr(0, text.find('\n')));
  return lines;
}

}  // namespace

NodeRow::NodeRow(Ledger& ledger)
    : ledger_(ledger),
      kept_sources_(sources_of(ledger, node_energy, "")),
      kept_origins_(sources_of(ledger, energy_by_source, "node")) {
  const auto states = ledger.states(node_sensors_state);
  const auto kept = states.find(std::string(node_sensors_state));
  const std::set<std::string> sensors = kept == states.end() ? std::set<std::string>() : lines_of(kept->second);
  std::vector<std::string> members;
  for (const Metric* metric : std::initializer_list<const Metric*>{&cpu_package_energy, &dram_energy, &psys_energy,
                                                                   &gpu_energy, &sensor_energy}) {
    for (std::string& key : ledger.last_read(std::string(metric->name) + '{')) {
      // A model steps in where nothing measures, which may be over: it is not awaited.
      const bool modelled = label_value(labels_of(key), "source") == name(Origin::modelled);
      const bool sensor = metric == &sensor_energy;
      if (modelled || (sensor && !sensors.contains(key))) continue;
      if (sensor) sensors_.insert(key);
      members.push_back(std::move(key));
    }
  }
  node_.expect(members);
  const std::vector<std::string> refused = sources_of(ledger, node_refused, "");
  if (!refused.empty()) refused_source_ = refused.front();
}

void NodeRow::observe(const Observation& observation) {
  node_.observe(observation);
  if (observation.metric != &sensor_energy || !known_.insert(observation.series).second) return;
  const std::string_view role = label_value(observation.label_values, 2);
  if (role != "node" && role != "psu_in") return;
  if (!sensors_.insert(ledger_key(sensor_energy, observation.label_values)).second) return;
  std::string text;
  for (const std::string& key : sensors_)
    text += key + '\n';
  ledger_.set_state(std::string(node_sensors_state), std::move(text));
}

void NodeRow::forget(const std::unordered_set<SeriesId>& ids) {
  node_.forget(ids);
  std::erase_if(known_, [&](SeriesId id) { return ids.contains(id); });
}

void NodeRow::show_kept(Derivation& derivation) {
  if (!kept_sources_.empty()) derivation.book(energy_unobserved, {"node", "", ""}, 0);
  for (const std::string& source : std::exchange(kept_sources_, {}))
    derivation.book(node_energy, {source}, 0);
  for (const std::string& origin : std::exchange(kept_origins_, {}))
    derivation.book(energy_by_source, {"node", origin, "", ""}, 0);
}

std::span<const Metric* const> NodeRow::inputs() const {
  static constexpr std::array<const Metric*, 7> metrics = {
      &cpu_package_energy, &dram_energy, &psys_energy, &sensor_energy, &gpu_energy, &gpu_power, &gpu_runtime_suspended};
  return metrics;
}

std::span<const Metric* const> NodeRow::outputs() const {
  static constexpr std::array<const Metric*, 5> metrics = {&node_power, &node_modelled_power, &node_energy,
                                                           &node_reading, &node_refused};
  return metrics;
}

void NodeRow::derive(const Stamp& stamp, Derivation& derivation) {
  show_kept(derivation);
  const std::optional<NodePower::Derived> derived = node_.derive(stamp.steady_ns);
  if (!derived) return;
  for (const NodeSource source : derived->refused) {
    derivation.book(node_refused, {name(source)}, 1'000'000);
    refused_source_ = name(source);
  }
  if (!refused_source_.empty()) derivation.book(node_refused, {refused_source_}, 0);  // so that it stays on /metrics
  for (const NodeSource source : derived->gone)
    derivation.remove(node_reading, {name(source)});
  for (const NodePower::Reading& reading : derived->readings)
    derivation.show(node_reading, {name(reading.source)}, reading.watts);
  if (derived->hidden) derivation.remove(node_power, {name(*derived->hidden)});
  if (!derived->best) {
    if (derived->hidden) derivation.remove(node_modelled_power, {});
    return;
  }
  const std::string_view best = name(derived->best->source);
  derivation.show(node_power, {best}, derived->best->watts);
  derivation.show(node_modelled_power, {}, derived->modelled_watts);
  derivation.book(node_energy, {best}, derived->booked);
  for (const Origin origin : origins) {
    const auto& booked = derived->by_origin[static_cast<std::size_t>(origin)];
    if (booked) derivation.book(energy_by_source, {"node", name(origin), "", ""}, *booked);
  }
  derivation.book(energy_unobserved, {"node", "", ""}, derived->unobserved_us);
}

}  // namespace perjoule
