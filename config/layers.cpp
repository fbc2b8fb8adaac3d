#include "config/layers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "config/secrets.hpp"
#include "config/suggestion.hpp"

namespace perjoule::config {
namespace {

constexpr std::string_view environment_prefix = "PERJOULE_";
// Read by the stand-in for NVIDIA's library that the tests load (tests/nvml), not by the daemon.
constexpr std::string_view test_variable = "PERJOULE_NVML_SCENARIO";

Refusal from(std::string source) {
  Refusal where;
  where.file = std::move(source);
  return where;
}

// A message about a syntax error must not repeat what stands there, because it may be a secret.
json::Document read_with_secrets(std::string_view text, std::vector<json::Problem>& problems) {
  json::Document document = json::read(text);
  for (json::Problem& problem : document.problems) {
    problem.what.resize(std::min(problem.what.find(", got "), problem.what.size()));
    problems.push_back(std::move(problem));
  }
  return document;
}

// A URL, or an object in JSON.
void add_target(json::Value& list, std::string_view text, std::vector<json::Problem>& problems) {
  list.type = json::Type::array;
  if (text.starts_with('{')) {
    json::Document document = read_with_secrets(text, problems);
    if (document.root) list.items.push_back(*std::move(document.root));
    return;
  }
  json::Value& item = list.items.emplace_back();
  item.type = json::Type::text;
  item.text = text;
}

// The value of a variable, which is a list in JSON or URLs separated by commas.
json::Value targets(std::string_view text, std::vector<json::Problem>& problems) {
  json::Value list;
  if (text.starts_with('[') || text.starts_with('{')) {
    return read_with_secrets(text, problems).root.value_or(list);
  }
  while (!text.empty()) {
    std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(item.size() + 1, text.size()));
    while (item.starts_with(' '))
      item.remove_prefix(1);
    while (item.ends_with(' '))
      item.remove_suffix(1);
    add_target(list, item, problems);
  }
  return list;
}

// Adds an item to a list, or with `map` an entry NAME=VALUE to an object.
void add_item(json::Value& list, const std::string& text, bool map) {
  const std::size_t equals = map ? std::min(text.find('='), text.size()) : 0;
  list.type = map ? json::Type::object : json::Type::array;
  json::Value& item = list.items.emplace_back();
  item.type = json::Type::text;
  item.key = text.substr(0, equals);
  item.text = map ? text.substr(std::min(equals + 1, text.size())) : text;
}

std::string underscored(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

}  // namespace

Layers::Layers(std::span<const CollectorSection> collectors, const ExamineRules& rules)
    : keys_(config::keys(collectors, rules)), slots_(keys_.size()) {
  for (std::size_t i = 0; i < keys_.size(); ++i) {
    index_.emplace(keys_[i].path, i);
    Checked<KeyValue> value = parse_value(keys_[i], keys_[i].fallback);
    // A wrong default is a programming error: it is reported at the first start instead of leaving the value unset.
    if (value) {
      slots_[i].value = *std::move(value);
    } else {
      set(i, std::move(value), from("built-in default"), "default");
    }
  }
}

void Layers::refuse(Refusal refusal) {
  refusal.what = mask_urls(refusal.what);
  if (refusals_.size() < refusals_max) {
    refusals_.push_back(std::move(refusal));
  } else if (refusals_.size() == refusals_max) {
    Refusal last = from(refusal.file);
    last.what = fmt::format("more than {} errors; the rest is not listed", refusals_max);
    refusals_.push_back(std::move(last));
  }
}

void Layers::set(std::size_t index, Checked<KeyValue> value, Refusal where, std::string origin) {
  Slot& slot = slots_[index];
  where.path = keys_[index].path;
  slot.set = true;
  if (value) {
    using Map = std::map<std::string, std::string>;
    if (keys_[index].type == OptionType::text_map && *value && slot.value)
      std::get<Map>(**value).merge(Map(std::get<Map>(*slot.value)));
    slot.value = *std::move(value);
    slot.origin = std::move(origin);
    slot.where = std::move(where);
    return;
  }
  slot.refused = true;
  where.what = value.error().what;
  where.help = value.error().help;
  refuse(std::move(where));
}

void Layers::set_text(std::size_t index, std::string_view text, const std::string& source) {
  const Key& key = keys_[index];
  if (!key.examine || (text.empty() && key.nullable())) return set(index, parse_value(key, text), from(source), source);
  std::vector<json::Problem> problems;
  if (key.type == OptionType::target_list) {
    const json::Value list = targets(text, problems);
    return set_examined(index, list, std::move(problems), source);
  }
  json::Document document = json::read(text);
  set_examined(index, document.root.value_or(json::Value()), std::move(document.problems), source);
}

void Layers::set_examined(std::size_t index, const json::Value& value, std::vector<json::Problem> problems,
                          const std::string& source) {
  const Key& key = keys_[index];
  if (problems.empty()) problems = key.examine(value);
  slots_[index].refused = slots_[index].refused || !problems.empty();
  for (json::Problem& problem : problems) {
    Refusal refusal = from(source);
    refusal.path = problem.path.empty() ? key.path : problem.path;
    refusal.what = std::move(problem.what);
    refusal.help = std::move(problem.help);
    refuse(std::move(refusal));
  }
  if (!problems.empty()) return;
  Place ignored;
  set(index, parse_value(key, value, ignored), from(source), source);
}

void Layers::add_environment(std::span<const std::pair<std::string, std::string>> variables) {
  std::vector<std::string> names;
  for (const Key& key : keys_)
    names.push_back(environment_name(key));
  for (const auto& [name, text] : variables) {
    if (name == test_variable) continue;
    Refusal where = from("environment " + name);
    const auto found = std::find(names.begin(), names.end(), name);
    if (found != names.end()) {
      set_text(static_cast<std::size_t>(found - names.begin()), text, where.file);
      continue;
    }
    where.what = "unknown environment variable";
    std::vector<std::string_view> known;
    for (std::string_view candidate : names)
      known.push_back(candidate.substr(environment_prefix.size()));
    const std::string_view near =
        nearest(std::string_view(name).substr(std::min(environment_prefix.size(), name.size())), known);
    where.help = near.empty() ? "`perjouled describe keys` lists all" : fmt::format("did you mean PERJOULE_{}?", near);
    refuse(std::move(where));
  }
}

void Layers::add_flags(std::span<const std::pair<std::string, std::string>> flags) {
  std::map<std::size_t, json::Value> lists;  // repeated flags of a key form one list
  std::map<std::size_t, std::vector<json::Problem>> list_problems;
  for (const auto& [name, text] : flags) {
    const std::string spelled = underscored(name);
    const auto found = std::find_if(keys_.begin(), keys_.end(), [&](const Key& key) {
      return spelled == key.path || spelled == underscored(flag_name(key));
    });
    if (found == keys_.end()) {
      std::vector<std::string> names;
      for (const Key& key : keys_)
        names.push_back(flag_name(key));
      const std::vector<std::string_view> known(names.begin(), names.end());
      const std::string_view near = nearest(name, known);
      Refusal unknown = from("flag --" + name);
      unknown.what = "unknown flag";
      unknown.help = near.empty() ? "`perjouled describe keys` lists all" : fmt::format("did you mean --{}?", near);
      refuse(std::move(unknown));
      continue;
    }
    const auto index = static_cast<std::size_t>(found - keys_.begin());
    if (found->type == OptionType::target_list) {
      add_target(lists[index], text, list_problems[index]);
      continue;
    }
    if (found->type == OptionType::text_list || found->type == OptionType::text_map) {
      add_item(lists[index], text, found->type == OptionType::text_map);
      continue;
    }
    const bool negated = found->type == OptionType::boolean && text == "false";
    set_text(index, text, fmt::format("flag --{}{}", negated ? "no-" : "", flag_name(*found)));
  }
  for (const auto& [index, list] : lists) {
    Place ignored;
    const std::string source = "flag --" + flag_name(keys_[index]);
    if (keys_[index].type == OptionType::target_list) {
      set_examined(index, list, std::move(list_problems[index]), source);
      continue;
    }
    set(index, parse_value(keys_[index], list, ignored), from(source), source);
  }
}

}  // namespace perjoule::config
