#include "config/loader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "config/layers.hpp"

namespace perjoule::config {
namespace {

double number(const Slot& slot) {
  return std::get<double>(*slot.value);
}

// Sets the values of keys whose default depends on another key.
void settle_collector(Layers& layers, const std::string& prefix, const Slot& disable_defaults) {
  constexpr double stale_after_min = 10;
  constexpr double stale_periods = 3;
  constexpr double deadline_share = 0.9;
  Slot& enabled = layers.slot(prefix + "enabled");
  if (std::get<bool>(*disable_defaults.value) && !enabled.set) {
    enabled.value.emplace(false);
    enabled.origin = disable_defaults.origin;
  }
  const Slot& period = layers.slot(prefix + "period");
  Slot& deadline = layers.slot(prefix + "deadline");
  if (!deadline.set && number(deadline) > number(period)) deadline.value.emplace(deadline_share * number(period));
  Slot& stale_after = layers.slot(prefix + "stale_after");
  if (!stale_after.value) stale_after.value.emplace(std::max(stale_periods * number(period), stale_after_min));
}

// Refusals that compare keys. Skipped if one of them was refused already, since its intended value is not known.
void check_deadline(Layers& layers, const std::string& prefix) {
  const Slot& period = layers.slot(prefix + "period");
  const Slot& deadline = layers.slot(prefix + "deadline");
  if (period.refused || deadline.refused || number(deadline) <= number(period)) return;
  Refusal refusal = deadline.where;
  refusal.what = fmt::format("{} is longer than the period of {} ({})", format_duration(number(deadline)),
                             format_duration(number(period)), period.origin);
  refusal.help = "a sample must end before the next one begins: the deadline is at most the period";
  layers.refuse(std::move(refusal));
}

void check_stale_after(Layers& layers, const std::string& prefix) {
  const Slot& period = layers.slot(prefix + "period");
  const Slot& stale_after = layers.slot(prefix + "stale_after");
  if (!stale_after.set || period.refused || stale_after.refused || number(stale_after) >= number(period)) return;
  Refusal refusal = stale_after.where;
  refusal.what = fmt::format("{} is shorter than the period of {} ({})", format_duration(number(stale_after)),
                             format_duration(number(period)), period.origin);
  refusal.help = "it must be at least the period, or every value would leave /metrics before the next sample";
  layers.refuse(std::move(refusal));
}

void check_power_model(Layers& layers) {
  const Slot& idle = layers.slot("efficiency.power_model.idle");
  const Slot& max = layers.slot("efficiency.power_model.max");
  if (idle.refused || max.refused || (!idle.value && !max.value)) return;
  Refusal refusal = max.value ? max.where : idle.where;
  if (!idle.value || !max.value) {
    refusal.what = fmt::format("requires efficiency.power_model.{}, which is not set", max.value ? "idle" : "max");
    refusal.help = "set both or neither";
  } else if (number(max) <= number(idle)) {
    refusal.what = fmt::format("{} is not above the idle power of {} ({})", format_power(number(max)),
                               format_power(number(idle)), idle.origin);
  } else {
    return;
  }
  layers.refuse(std::move(refusal));
}

Loaded finish(Layers& layers) {
  Loaded loaded;
  for (std::size_t i = 0; i < layers.keys().size(); ++i) {
    const Key& key = layers.keys()[i];
    Slot& slot = layers.slot(i);
    if (slot.value) key.store(loaded.settings, *slot.value);
    loaded.effective.push_back({key.path, format_value(key, slot.value), std::move(slot.origin), key.needs_restart});
  }
  return loaded;
}

}  // namespace

Outcome load(const Input& input) {
  Layers layers(input.collectors, input.examine_rules);
  if (input.file) layers.add_files(*input.file);
  layers.add_environment(input.environment);
  layers.add_flags(input.flags);
  const Slot& disable_defaults = layers.slot("collectors.disable_defaults");
  for (const CollectorSection& section : input.collectors) {
    const std::string prefix = fmt::format("collectors.{}.", section.name);
    settle_collector(layers, prefix, disable_defaults);
    check_deadline(layers, prefix);
    check_stale_after(layers, prefix);
  }
  check_power_model(layers);
  Outcome outcome;
  outcome.refusals = layers.take_refusals();
  if (outcome.refusals.empty()) outcome.loaded = finish(layers);
  return outcome;
}

std::vector<std::string> keys_that_need_restart(const Loaded& running, const Loaded& loaded) {
  std::unordered_map<std::string_view, std::string_view> values;
  for (const Effective& effective : running.effective)
    values.emplace(effective.path, effective.value);
  std::vector<std::string> paths;
  for (const Effective& effective : loaded.effective) {
    const auto before = values.find(effective.path);
    const bool differs = before == values.end() || before->second != effective.value;
    if (effective.needs_restart && differs) paths.push_back(effective.path);
  }
  return paths;
}

std::string render(const Refusal& refusal) {
  std::string text = refusal.file;
  if (refusal.line > 0) text += fmt::format(":{}:{}", refusal.line, refusal.column);
  text += ": error: ";
  if (!refusal.path.empty()) text += refusal.path + ": ";
  text += refusal.what + "\n";
  if (refusal.line > 0) {
    // A tab before the caret is repeated, so that it has the same width as in the line above.
    std::string under;
    std::size_t width = 0;  // characters of the line
    for (char c : refusal.source_line) {
      if ((static_cast<unsigned char>(c) & 0xC0U) == 0x80U) continue;
      if (width++ < refusal.caret) under += c == '\t' ? '\t' : ' ';
    }
    const std::size_t room = width > refusal.caret ? width - refusal.caret : 1;
    text += fmt::format("{:>5} | {}\n      | {}{}\n", refusal.line, refusal.source_line, under,
                        std::string(std::clamp<std::size_t>(refusal.length, 1, room), '^'));
  }
  if (!refusal.help.empty()) text += fmt::format("   help: {}\n", refusal.help);
  return text;
}

std::string render(std::span<const Refusal> refusals) {
  std::string text;
  for (const Refusal& refusal : refusals)
    text += render(refusal);
  return text + fmt::format("{} error{}; configuration not loaded\n", refusals.size(), refusals.size() == 1 ? "" : "s");
}

}  // namespace perjoule::config
