#include "daemon/alerts/rules/default_rules.hpp"

#include "daemon/alerts/rules/rule_reader.hpp"

namespace perjoule::alerts {

namespace {

constexpr std::string_view gpu_rules = R"(
  { "alert": "PerjouleGpuLost",
    "value": { "metric": "perjoule_gpus_expected" }, "minus": { "metric": "perjoule_gpus" },
    "levels": [ { "severity": "critical", "raise_above": 0, "for": "1m" } ],
    "summary": "{value} of the expected GPUs do not respond.", "runbook": "gpu-lost" },

  { "alert": "PerjouleGpuThermalMarginLow",
    "value": { "metric": "perjoule_gpu_thermal_margin_celsius" },
    "levels": [ { "severity": "warning", "raise_below": 5, "clear_above": 8, "for": "2m" },
                { "severity": "critical", "raise_below": 2, "clear_above": 5, "for": "15s" } ],
    "summary": "GPU {gpu} is {value} °C below its slowdown temperature.", "runbook": "gpu-thermal-margin" },

  { "alert": "PerjouleGpuThermalThrottling",
    "value": { "metric": "perjoule_gpu_throttle_seconds_total",
               "match": { "reason": ["sw_thermal", "hw_thermal", "thermal"] }, "fn": "rate", "window": "5m" },
    "levels": [ { "severity": "warning", "raise_above": 0.05, "clear_below": 0.03, "for": "5m" },
                { "severity": "critical", "raise_above": 0.2, "clear_below": 0.1, "for": "5m" } ],
    "summary": "GPU {gpu} was thermally throttled during a fraction of {value} of the last 5 min ({reason}).",
    "runbook": "gpu-thermal-throttling" },

  { "alert": "PerjouleGpuPowerBrake",
    "value": { "metric": "perjoule_gpu_throttle_seconds_total", "match": { "reason": "hw_power_brake" },
               "fn": "increase", "window": "5m" },
    "levels": [ { "severity": "critical", "raise_above": 0 } ],
    "summary": "The hardware power brake of GPU {gpu} was active for {value} s in the last 5 min.",
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

  { "alert": "PerjouleSensorStale",
    "value": { "metric": "perjoule_gpu_energy_joules_total", "fn": "age" },
    "when": [ { "value": { "metric": "perjoule_gpu_runtime_suspended" }, "below": 1 } ],
    "levels": [ { "severity": "warning", "raise_above": 60, "clear_below": 10 } ],
    "summary": "No new energy reading from GPU {gpu} for {value} s.", "runbook": "sensor-stale" },
)";

constexpr std::string_view daemon_rules = R"(
  { "alert": "PerjouleNodeEnergyStale",
    "value": { "metric": "perjoule_node_energy_joules_total", "fn": "age", "min_by": [] },
    "levels": [ { "severity": "warning", "raise_above": 120, "clear_below": 30 } ],
    "summary": "The node energy counter has not been updated for {value} s.", "runbook": "node-energy-stale" },

  { "alert": "PerjouleSourceStuck",
    "value": { "metric": "perjoule_source_state", "match": { "state": "stuck" } },
    "levels": [ { "severity": "warning", "raise_above": 0, "for": "1m" } ],
    "summary": "A read from {source} is stuck: the call has not returned.", "runbook": "source-stuck" },

  { "alert": "PerjouleSourceFailing",
    "value": { "metric": "perjoule_source_state", "match": { "state": "error" } },
    "levels": [ { "severity": "warning", "raise_above": 0, "for": "10m", "clear_for": "1m" } ],
    "summary": "Reads from {source} fail with errors.", "runbook": "source-failing" },

  { "alert": "PerjouleSourceDenied",
    "value": { "metric": "perjoule_source_state", "match": { "state": "denied" } },
    "levels": [ { "severity": "info", "raise_above": 0, "for": "5m" } ],
    "summary": "perjouled lacks permission to read {source}; `perjouled doctor` shows the fix.",
    "runbook": "source-denied" },

  { "alert": "PerjouleStorageDropping",
    "value": { "metric": "perjoule_storage_dropped_samples_total", "fn": "increase", "window": "5m" },
    "levels": [ { "severity": "warning", "raise_above": 0 } ],
    "summary": "{value} samples were dropped in the last 5 min because writing to disk was too slow.",
    "runbook": "storage-dropping" },

  { "alert": "PerjouleStorageFailing",
    "value": { "metric": "perjoule_storage_failed_commits_total", "fn": "increase", "window": "5m" },
    "levels": [ { "severity": "warning", "raise_above": 3, "clear_below": 1, "for": "1m" },
                { "severity": "critical", "raise_above": 3, "clear_below": 1, "for": "15m" } ],
    "summary": "{value} commits to the {file} database failed in the last 5 min.", "runbook": "storage-failing" },

  { "alert": "PerjouleStorageStuck",
    "value": { "metric": "perjoule_storage_commit_pending_seconds" },
    "levels": [ { "severity": "warning", "raise_above": 5, "for": "15s" },
                { "severity": "critical", "raise_above": 300 } ],
    "summary": "The disk of the storage does not answer: a commit has not returned for {value} s.",
    "runbook": "storage-stuck" },

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
