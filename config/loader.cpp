#include "config/loader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "config/layers.hpp"
#include "config/source_text.hpp"
#include "config/text.hpp"

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

// Before the defaults that depend on other keys are filled in.
std::size_t count_changed(Layers& layers) {
  std::size_t changed = 0;
  for (std::size_t i = 0; i < layers.keys().size(); ++i) {
    const Slot& slot = layers.slot(i);
    if (!slot.set) continue;
    const Checked<KeyValue> fallback = parse_value(layers.keys()[i], layers.keys()[i].fallback);
    if (!fallback || *fallback != slot.value) ++changed;
  }
  return changed;
}

Loaded finish(Layers& layers) {
  Loaded loaded;
  loaded.files = layers.files();
  for (std::size_t i = 0; i < layers.keys().size(); ++i) {
    const Key& key = layers.keys()[i];
    Slot& slot = layers.slot(i);
    if (slot.value) key.store(loaded.settings, *slot.value);
    loaded.effective.push_back(
        {key.path, format_value(key, slot.value), std::move(slot.origin), key.needs_restart, key.secret});
  }
  return loaded;
}

// Bytes of the first `count` characters, or of all if there are fewer.
std::size_t bytes_of(std::string_view text, std::size_t count) {
  std::size_t bytes = 0;
  for (; bytes < text.size(); ++bytes) {
    const bool begins = (static_cast<unsigned char>(text[bytes]) & 0xC0U) != 0x80U;
    if (begins && count-- == 0) break;
  }
  return bytes;
}

// A line of a file as it is shown. Tabs stay: they move nothing but what follows.
std::string shown_line(std::string_view line) {
  std::string shown;
  while (true) {
    const std::size_t tab = line.find('\t');
    shown += text::printable(line.substr(0, tab));
    if (tab == std::string_view::npos) return shown;
    shown += '\t';
    line.remove_prefix(tab + 1);
  }
}

// As wide as `text`: a tab is repeated, so that it has the same width as in the line above.
std::string blanks(std::string_view text) {
  std::string under;
  for (const char c : text) {
    const bool continues = (static_cast<unsigned char>(c) & 0xC0U) == 0x80U;
    if (!continues) under += c == '\t' ? '\t' : ' ';
  }
  return under;
}

}  // namespace

Outcome load(const Input& input) {
  Layers layers(input.collectors, input.examine_rules);
  if (input.file) layers.add_files(*input.file, input.file_may_be_missing);
  layers.add_environment(input.environment);
  layers.add_flags(input.flags);
  const std::size_t changed = count_changed(layers);
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
  if (!outcome.refusals.empty()) return outcome;
  outcome.loaded = finish(layers);
  outcome.loaded->changed = changed;
  return outcome;
}

std::string files_read(const Loaded& loaded) {
  std::string text;
  for (const std::filesystem::path& file : loaded.files) {
    // A drop-in is named as seen from the file that it lies beside.
    const bool beside = !text.empty() && loaded.files.front().parent_path() == file.parent_path().parent_path();
    text += text.empty() ? "" : ", ";
    text += text::printable((beside ? std::filesystem::path("conf.d") / file.filename() : file).native());
  }
  return fmt::format("{} ({} key{} changed)", text.empty() ? "no file" : text, loaded.changed,
                     loaded.changed == 1 ? "" : "s");
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
  std::string text = text::printable(refusal.file);
  if (refusal.line > 0) text += fmt::format(":{}:{}", refusal.line, refusal.column);
  text += ": error: ";
  if (!refusal.path.empty()) text += text::printable(refusal.path) + ": ";
  text += text::printable(refusal.what) + "\n";
  if (refusal.line > 0) {
    const std::string_view line = refusal.source_line;
    const std::size_t begin = bytes_of(line, refusal.caret);
    const std::size_t end = begin + bytes_of(line.substr(begin), std::max<std::size_t>(refusal.length, 1));
    const std::string before = shown_line(line.substr(0, begin));
    const std::size_t width = characters(shown_line(line.substr(begin, end - begin)));
    text += fmt::format("{:>5} | {}\n      | {}{}\n", refusal.line, shown_line(line), blanks(before),
                        std::string(std::max<std::size_t>(width, 1), '^'));
  }
  if (!refusal.help.empty()) text += fmt::format("   help: {}\n", text::printable(refusal.help));
  return text;
}

std::string render(std::span<const Refusal> refusals) {
  std::string text;
  for (const Refusal& refusal : refusals)
    text += render(refusal);
  return text + fmt::format("{} error{}; configuration not loaded\n", refusals.size(), refusals.size() == 1 ? "" : "s");
}

}  // namespace perjoule::config
