#include "daemon/alerts/rules/default_rules.hpp"

#include "daemon/alerts/rules/rule_reader.hpp"

namespace perjoule::alerts {

namespace {

// Rules of one cause are in the order in which they stand for each other (daemon/alerts/choice.hpp): those of the whole
// node first, then the cause before its effects.
constexpr std::string_view gpu_rules = R"(
  { "alert": "PerjouleGpusLost", "cause": "gpu-lost",
    "value": { "metric": "perjoule_gpu_lost", "sum_by": [] },
    "levels": [ { "severity": "critical", "raise_above": 2, "clear_below": 2 } ],
    "summary": "{value:integer} GPUs of this node are lost: they do not answer.", "runbook": "gpus-lost" },

  { "alert": "PerjouleGpuLost", "cause": "gpu-lost",
    "value": { "metric": "perjoule_gpu_lost" },
    "levels": [ { "severity": "critical", "raise_above": 0 } ],
    "summary": "GPU {gpu} is lost: the board {uuid} at {pci_bus_id} does not answer.", "runbook": "gpu-lost" },

  { "alert": "PerjouleGpusMissing",
    "value": { "metric": "perjoule_gpus_unseen" },
    "levels": [ { "severity": "critical", "raise_above": 0, "for": "3m" } ],
    "summary": "{value:integer} of the GPUs that the configuration expects have never been seen on this node.",
    "runbook": "gpus-missing" },

  { "alert": "PerjouleGpusOverheated", "cause": "gpu-heat",
    "value": { "metric": "perjoule_alerting_gpus", "match": { "cause": "gpu-heat", "severity": "critical" },
               "sum_by": [] },
    "levels": [ { "severity": "critical", "raise_above": 2, "clear_below": 2, "clear_for": "5m" } ],
    "summary": "{value:integer} GPUs of this node are slowed down by their hardware because they are too hot.",
    "runbook": "gpus-overheated" },

  { "alert": "PerjouleGpusHot", "cause": "gpu-heat",
    "value": { "metric": "perjoule_alerting_gpus", "match": { "cause": "gpu-heat", "severity": "warning" },
               "sum_by": [] },
    "levels": [ { "severity": "warning", "raise_above": 2, "clear_below": 2, "clear_for": "5m" } ],
    "summary": "{value:integer} GPUs of this node are too hot.", "runbook": "gpus-hot" },

  { "alert": "PerjouleGpuHardwareThrottling", "cause": "gpu-heat",
    "value": { "metric": "perjoule_gpu_throttle_seconds_total", "match": { "reason": "hw_thermal" }, "fn": "rate",
               "window": "5m" },
    "levels": [ { "severity": "critical", "raise_above": 0.01, "clear_below": 0.005, "for": "2m" } ],
    "summary": "GPU {gpu} was thermally throttled {value:percent} of the last 5 min ({reason}).",
    "runbook": "gpu-hardware-throttling" },

  { "alert": "PerjouleGpuThermalThrottling", "cause": "gpu-heat",
    "value": { "metric": "perjoule_gpu_throttle_seconds_total", "match": { "reason": "sw_thermal" }, "fn": "rate",
               "window": "15m" },
    "levels": [ { "severity": "warning", "raise_above": 0.2, "clear_below": 0.1 } ],
    "summary": "GPU {gpu} was thermally throttled {value:percent} of the last 15 min ({reason}).",
    "runbook": "gpu-thermal-throttling" },

  { "alert": "PerjouleGpuThermalMarginLow", "cause": "gpu-heat",
    "value": { "metric": "perjoule_gpu_thermal_margin_celsius" },
    "levels": [ { "severity": "warning", "raise_below": 3, "clear_above": 5, "for": "15m" } ],
    "summary": "GPU {gpu} is {value} °C below the temperature at which it slows down.",
    "runbook": "gpu-thermal-margin" },

  { "alert": "PerjouleGpuPowerBrake", "cause": "power-brake",
    "value": { "metric": "perjoule_gpu_throttle_seconds_total", "match": { "reason": "hw_power_brake" },
               "fn": "increase", "window": "5m" },
    "levels": [ { "severity": "warning", "raise_above": 1 },
                { "severity": "critical", "raise_above": 30, "clear_below": 10 } ],
    "summary": "The power brake held GPU {gpu} back for {value:duration} of the last 5 min.",
    "runbook": "gpu-power-brake" },

  { "alert": "PerjouleEnergyMismatch",
    "value": { "metric": "perjoule_gpu_energy_agreement_ratio" },
    "levels": [ { "severity": "warning", "raise_above": 1.2, "clear_below": 1.1, "for": "10m" } ],
    "summary": "The energy counter of GPU {gpu} shows {value} times the energy integrated from its power.",
    "runbook": "energy-mismatch" },

  { "alert": "PerjouleEnergyMismatchLow",
    "value": { "metric": "perjoule_gpu_energy_agreement_ratio" },
    "levels": [ { "severity": "warning", "raise_below": 0.8, "clear_above": 0.9, "for": "10m" } ],
    "summary": "The energy counter of GPU {gpu} shows only {value} times the energy integrated from its power.",
    "runbook": "energy-mismatch-low" },

  { "alert": "PerjouleSensorStale", "cause": "gpu-lost",
    "value": { "metric": "perjoule_gpu_energy_joules_total", "fn": "age" },
    "when": [ { "value": { "metric": "perjoule_gpu_runtime_suspended" }, "below": 1 } ],
    "levels": [ { "severity": "warning", "raise_above": 60, "clear_below": 10, "for": "3m" } ],
    "summary": "GPU {gpu} has given no energy reading for {value:duration}.", "runbook": "sensor-stale" },
)";

constexpr std::string_view daemon_rules = R"(
  { "alert": "PerjouleNodeEnergyStale",
    "value": { "metric": "perjoule_node_energy_joules_total", "fn": "age", "min_by": [] },
    "when": [ { "value": { "metric": "perjoule_alerting_gpus", "match": { "cause": "gpu-lost" }, "sum_by": [] },
                "below": 1 } ],
    "levels": [ { "severity": "warning", "raise_above": 240, "clear_below": 30 } ],
    "summary": "The energy of this node has not been counted for {value:duration}.", "runbook": "node-energy-stale" },

  { "alert": "PerjouleSourceStuck", "cause": "gpu-lost",
    "value": { "metric": "perjoule_source_state", "match": { "state": "stuck" } },
    "levels": [ { "severity": "warning", "raise_above": 0, "for": "4m" } ], "on_absence": "resolve",
    "summary": "A read from {source} {device} hangs: the call has not returned for 4 min.", "runbook": "source-stuck" },

  { "alert": "PerjouleSourceFailing", "cause": "gpu-lost",
    "value": { "metric": "perjoule_source_state", "match": { "state": "error" } },
    "levels": [ { "severity": "warning", "raise_above": 0, "for": "10m", "clear_for": "1m" } ], "on_absence": "resolve",
    "summary": "Reads from {source} {device} have failed for 10 min.", "runbook": "source-failing" },

  { "alert": "PerjouleSourceDenied",
    "value": { "metric": "perjoule_source_state", "match": { "state": "denied" } },
    "levels": [ { "severity": "info", "raise_above": 0, "for": "5m" } ],
    "on_absence": "resolve", "runbook": "source-denied",
    "summary": "perjouled lacks permission to read {source}; `perjouled doctor` shows the fix." },

  { "alert": "PerjouleStorageStuck", "cause": "storage",
    "value": { "metric": "perjoule_storage_commit_pending_seconds" },
    "levels": [ { "severity": "warning", "raise_above": 5, "for": "15s" },
                { "severity": "critical", "raise_above": 300 } ],
    "summary": "The disk of the storage does not answer: a commit has not returned for {value:duration}.",
    "runbook": "storage-stuck" },

  { "alert": "PerjouleStorageFailing", "cause": "storage",
    "value": { "metric": "perjoule_storage_failed_commits_total", "fn": "increase", "window": "5m" },
    "levels": [ { "severity": "warning", "raise_above": 3, "clear_below": 1, "for": "1m" },
                { "severity": "critical", "raise_above": 3, "clear_below": 1, "for": "15m" } ],
    "summary": "{value:integer} commits to the {file} database failed in the last 5 min.",
    "runbook": "storage-failing" },

  { "alert": "PerjouleStorageDropping", "cause": "storage",
    "value": { "metric": "perjoule_storage_dropped_samples_total", "fn": "increase", "window": "5m" },
    "levels": [ { "severity": "warning", "raise_above": 0 } ],
    "summary": "{value:integer} samples were dropped in the last 5 min because writing to disk was too slow.",
    "runbook": "storage-dropping" },

  { "alert": "PerjouleSeriesRefused",
    "value": { "metric": "perjoule_series_refused_total", "fn": "increase", "window": "2m" },
    "levels": [ { "severity": "warning", "raise_above": 0, "for": "5m" } ],
    "summary": "{value:integer} readings of the last 2 min have no series: a source, or all, reached the limit.",
    "runbook": "series-refused" },

  { "alert": "PerjouleConfigReloadFailed",
    "value": { "metric": "perjoule_config_last_reload_successful" },
    "levels": [ { "severity": "warning", "raise_below": 1 } ],
    "summary": "The new configuration was rejected or cannot be read; the previous one stays in force.",
    "runbook": "config-reload-failed" }
)";

}  // namespace

std::string_view default_rules_text() {
  static const std::string text = "[" + std::string(gpu_rules) + std::string(daemon_rules) + "]";
  return text;
}

const std::vector<Rule>& default_rules() {
  static const std::vector<Rule> rules = [] {
    const config::json::Document document = config::json::read(default_rules_text());
    RuleList read;
    if (document.root) read = read_rules(*document.root, catalogue(), {});
    // Problems are ignored here: a unit test checks that the built-in rules have none.
    return std::move(read.rules);
  }();
  return rules;
}

}  // namespace perjoule::alerts
