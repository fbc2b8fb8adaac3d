// The part of App that reads the configuration again.
#include <memory>
#include <utility>

#include "collectors/registry.hpp"
#include "daemon/alerts/rules/rule_reader.hpp"
#include "daemon/app.hpp"
#include "daemon/sampling/sections.hpp"
#include "daemon/self/own_power.hpp"

namespace perjoule {

// What a reload reads from files, and what takes time in proportion to them, is done on the lane.
struct App::Reading {
  config::Loaded loaded;
  std::vector<alerts::Rule> rules;
  double watts_per_busy_cpu = 0;
};

void App::start_reloader() {
  Reloader::Read read = [this, input = input_, roots = settings_.roots]() -> Reloader::Found {
    config::Outcome outcome = config::load(input);
    if (!outcome.loaded) return {config::render(outcome.refusals), {}};
    const auto reading = std::make_shared<Reading>();
    reading->loaded = std::move(*outcome.loaded);
    reading->loaded.settings.roots = roots;
    reading->rules = alerts::rules_in_force(reading->loaded.settings.alerts);
    reading->watts_per_busy_cpu = watts_per_busy_cpu(reading->loaded.settings);
    return {"", [this, reading] { apply(std::move(*reading)); }};
  };
  reloader_.emplace(
      Reloader::Parts{clock_, log_, instruments_, service_, lanes_.make(query::Reader::stack_bytes), std::move(read)});
}

void App::apply(Reading reading) {
  for (const std::string& key : config::keys_that_need_restart(started_, reading.loaded))
    log_.warn("this key needs a restart to take effect", {{"key", key}});
  const config::Settings& next = reading.loaded.settings;
  log_.set_level(next.log.level);
  for (const Entry* entry : registry()) {
    const config::CollectorSettings before = collector_settings(settings_, entry->name);
    const config::CollectorSettings after = collector_settings(next, entry->name);
    if (before == after) continue;
    sampler_->stop(entry->name);
    if (after.enabled) sampler_->start(*entry, after, settings_.roots);
  }
  if (settings_.alerts != next.alerts || settings_.web.external_url != next.web.external_url)
    dispatch_->configure(next.alerts, next.web.external_url);
  if (settings_.alerts != next.alerts) alerts_->set_rules(std::move(reading.rules));
  settings_.alerts = next.alerts;
  settings_.web.external_url = next.web.external_url;
  settings_.log.level = next.log.level;
  settings_.storage.commit = next.storage.commit;
  settings_.storage.retention = next.storage.retention;
  set_retention();
  settings_.collectors = next.collectors;
  settings_.power_model = next.power_model;
  settings_.efficiency = next.efficiency;
  recorder_->configure(settings_.efficiency);
  watts_per_busy_cpu_ = reading.watts_per_busy_cpu;
  check_rules();
  roster_->look_for_request();
  log_.info("configuration reloaded", {{"configuration", config::files_read(reading.loaded)}});
}

}  // namespace perjoule
