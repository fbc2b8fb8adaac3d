#include "daemon/sampling/sections.hpp"

#include "collectors/registry.hpp"

namespace perjoule {

std::vector<config::CollectorSection> collector_sections() {
  std::vector<config::CollectorSection> sections;
  for (const Entry* entry : registry()) {
    sections.push_back({entry->name, entry->help, entry->enabled, entry->period, entry->deadline, entry->options});
  }
  return sections;
}

config::CollectorSettings collector_settings(const config::Settings& settings, std::string_view name) {
  const auto found = settings.collectors.find(std::string(name));
  config::CollectorSettings collector =
      found == settings.collectors.end() ? config::CollectorSettings{} : found->second;
  if (name == "power_model") {
    if (settings.power_model.idle_watts) collector.options.set("idle", *settings.power_model.idle_watts);
    if (settings.power_model.max_watts) collector.options.set("max", *settings.power_model.max_watts);
  }
  if (name == "nvml") collector.options.set("ignore_processes", settings.efficiency.idle_ignore_processes);
  return collector;
}

}  // namespace perjoule
