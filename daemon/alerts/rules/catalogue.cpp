#include "daemon/alerts/rules/catalogue.hpp"

#include "daemon/efficiency/metrics.hpp"
#include "daemon/families.hpp"
#include "daemon/self/instruments.hpp"

namespace perjoule::alerts {

namespace {

// One family a line: kind, name, labels. For a family that this build declares, the declaration replaces the line here.
// "..." means that the labels are not final.
constexpr std::string_view vocabulary = R"(
gauge perjoule_gpu_info gpu uuid name vendor driver_version vbios_version pci_bus_id
gauge perjoule_gpus
gauge perjoule_gpus_expected
gauge perjoule_gpu_power_watts gpu uuid
gauge perjoule_gpu_power_instant_watts gpu uuid
gauge perjoule_gpu_module_power_watts gpu uuid
gauge perjoule_gpu_power_limit_watts gpu uuid
gauge perjoule_gpu_power_limit_default_watts gpu uuid
gauge perjoule_gpu_power_limit_min_watts gpu uuid
gauge perjoule_gpu_power_limit_max_watts gpu uuid
counter perjoule_gpu_energy_joules_total gpu uuid
gauge perjoule_gpu_temperature_celsius gpu uuid sensor
gauge perjoule_gpu_temperature_limit_celsius gpu uuid sensor limit
gauge perjoule_gpu_thermal_margin_celsius gpu uuid
gauge perjoule_gpu_utilization_ratio gpu uuid
gauge perjoule_gpu_engine_utilization_ratio gpu uuid engine
gauge perjoule_gpu_activity_ratio gpu uuid pipe
gauge perjoule_gpu_memory_used_bytes gpu uuid
gauge perjoule_gpu_memory_total_bytes gpu uuid
gauge perjoule_gpu_clock_hertz gpu uuid domain
counter perjoule_gpu_throttle_seconds_total gpu uuid reason
gauge perjoule_gpu_throttle_active gpu uuid reason
counter perjoule_gpu_throttled_seconds_total gpu uuid
counter perjoule_gpu_ecc_errors_total gpu uuid severity location
counter perjoule_gpu_xid_errors_total gpu uuid xid
gauge perjoule_gpu_xid_last_timestamp_seconds gpu uuid xid
counter perjoule_gpu_state_seconds_total gpu uuid state
counter perjoule_gpu_state_energy_joules_total gpu uuid state
gauge perjoule_gpu_deep_idle_watts gpu uuid source
counter perjoule_node_state_energy_joules_total state
gauge perjoule_gpu_energy_agreement_ratio gpu uuid
gauge perjoule_gpu_mig_memory_used_bytes gpu uuid mig
gauge perjoule_gpu_mig_activity_ratio gpu uuid mig pipe
counter perjoule_cpu_package_energy_joules_total package source
gauge perjoule_cpu_package_power_watts package source
counter perjoule_cpu_core_energy_joules_total package
counter perjoule_dram_energy_joules_total package
counter perjoule_psys_energy_joules_total package
gauge perjoule_cpu_utilization_ratio package
gauge perjoule_cpu_clock_hertz package
gauge perjoule_temperature_celsius chip sensor role
gauge perjoule_temperature_limit_celsius chip sensor role limit
gauge perjoule_fan_speed_rpm chip sensor
gauge perjoule_sensor_power_watts chip sensor role
gauge perjoule_node_power_watts source
gauge perjoule_node_modelled_watts
counter perjoule_node_energy_joules_total source
gauge perjoule_node_reading_watts source
counter perjoule_energy_by_source_joules_total device source gpu uuid
counter perjoule_energy_unobserved_seconds_total device gpu uuid
counter perjoule_idle_waste_joules_total gpu uuid
gauge perjoule_idle_waste_watts gpu uuid
counter perjoule_workload_tokens_total workload model kind
counter perjoule_workload_requests_total workload
counter perjoule_work_total workload kind
counter perjoule_workload_energy_joules_total workload component
gauge perjoule_workload_energy_per_token_joules workload boundary kind window
gauge perjoule_workload_efficiency_index_ratio workload
gauge perjoule_workload_gpu_info workload gpu uuid
gauge perjoule_gpu_owner_info gpu uuid owner_kind owner
counter perjoule_job_energy_joules_total ...
counter perjoule_container_energy_joules_total ...
counter perjoule_user_energy_joules_total ...
counter perjoule_process_energy_joules_total ...
counter perjoule_energy_cost_total currency
counter perjoule_energy_credit_total currency
counter perjoule_emissions_grams_total
counter perjoule_emissions_marginal_grams_total
counter perjoule_emissions_market_grams_total
gauge perjoule_pue_ratio category window
gauge perjoule_pue_configured_ratio
gauge perjoule_pue_baseline_ratio category
gauge perjoule_power_headroom_watts device limit gpu uuid
gauge perjoule_demand_watts meter window
gauge perjoule_demand_predicted_watts meter window
gauge perjoule_peak_demand_watts meter window
gauge perjoule_demand_limit_watts meter window limit
gauge perjoule_demand_block_remaining_seconds meter window
gauge perjoule_facility_power_watts category
gauge perjoule_circuit_current_amperes rack feed phase
gauge perjoule_circuit_rating_amperes rack feed phase
gauge perjoule_phase_imbalance_ratio rack feed
gauge perjoule_source_state source device gpu uuid state
gauge perjoule_collector_last_success_timestamp_seconds source device gpu uuid
gauge perjoule_collector_duration_seconds source device gpu uuid
counter perjoule_collector_faults_total source device gpu uuid
counter perjoule_collector_missed_ticks_total source device gpu uuid
gauge perjoule_alerts alertname severity state
gauge perjoule_storage_size_bytes
gauge perjoule_storage_series
counter perjoule_storage_appended_samples_total
counter perjoule_storage_dropped_samples_total
gauge perjoule_storage_oldest_sample_timestamp_seconds
gauge perjoule_build_info version revision branch compiler
gauge perjoule_config_last_reload_successful
counter perjoule_self_energy_joules_total
)";

std::string_view take_until(std::string_view& text, char end) {
  const std::size_t size = std::min(text.find(end), text.size());
  const std::string_view taken = text.substr(0, size);
  text.remove_prefix(std::min(size + 1, text.size()));
  return taken;
}

}  // namespace

Catalogue published() {
  Catalogue families;
  for (std::string_view rest = vocabulary; !rest.empty();) {
    std::string_view line = take_until(rest, '\n');
    if (line.empty()) continue;
    Family family;
    family.kind = take_until(line, ' ') == "counter" ? Kind::counter : Kind::gauge;
    family.name = take_until(line, ' ');
    while (!line.empty())
      family.labels.push_back(take_until(line, ' '));
    family.open = !family.labels.empty() && family.labels.front() == "...";
    if (family.open) family.labels.clear();
    families.emplace(family.name, std::move(family));
  }
  return families;
}

const Catalogue& catalogue() {
  static const Catalogue all = [] {
    Catalogue families = published();
    for (const MetricGroup& group : metric_groups()) {
      for (const Metric* metric : group.metrics) {
        if (Instruments::is_histogram(*metric)) continue;
        Family family{metric->name, metric->kind, {}, false, true};
        family.labels.assign(metric->labels.begin(), metric->labels.begin() + metric->label_count);
        if (metric == &gpu_deep_idle_power) family.how = "source";
        families.insert_or_assign(metric->name, std::move(family));
      }
    }
    return families;
  }();
  return all;
}

}  // namespace perjoule::alerts
