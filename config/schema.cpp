// The key table as a JSON Schema (draft 7), for completion and checks in editors. It accepts every file that load()
// accepts; load() also refuses quantities out of range and keys that contradict each other.
#include <fmt/format.h>

#include "config/keys.hpp"
#include "config/text.hpp"
#include "config/tree.hpp"

namespace perjoule::config {
namespace {

std::string_view json_type(const Key& key) {
  switch (key.type) {
    case OptionType::boolean:
      return "boolean";
    case OptionType::integer:
      return "integer";
    case OptionType::number:
      return "number";
    case OptionType::text_list:
    case OptionType::object_list:
    case OptionType::target_list:
      return "array";
    case OptionType::text_map:
      return "object";
    default:
      return "string";
  }
}

std::string_view pattern(OptionType type) {
  switch (type) {
    case OptionType::duration:
      return R"(^(?=[0-9])([0-9]+y)?([0-9]+w)?([0-9]+d)?([0-9]+h)?([0-9]+m)?([0-9]+s)?([0-9]+ms)?$)";
    case OptionType::size:
      return R"(^[0-9]+ ?(KiB|MiB|GiB)$)";
    case OptionType::power:
      return R"(^([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)? ?k?W$)";
    default:
      return "";
  }
}

// The members of a key's schema, without braces.
std::string leaf_text(const Key& key) {
  const std::string type = text::quoted(json_type(key));
  std::string text = fmt::format("\"type\": {}", key.nullable() ? fmt::format("[{}, \"null\"]", type) : type);
  if (const std::string_view form = pattern(key.type); !form.empty())
    text += fmt::format(", \"pattern\": {}", text::quoted(form));
  const bool plain = key.type == OptionType::integer || key.type == OptionType::number;
  if (plain && key.min < key.max) {
    text += fmt::format(", \"minimum\": {}, \"maximum\": {}", format_number(key.min), format_number(key.max));
  }
  if (key.type == OptionType::text_list) {
    text += fmt::format(", \"items\": {{ \"type\": \"string\", \"minLength\": 1 }}, \"maxItems\": {}", list_max);
  }
  if (key.type == OptionType::text_map) text += R"(, "additionalProperties": { "type": "string" })";
  if (key.type == OptionType::object_list) text += R"(, "items": { "type": "object" })";
  if (key.type == OptionType::target_list)
    text += fmt::format(", \"items\": {{ {} }}, \"maxItems\": {}", receiver_schema(), list_max);
  if (key.type == OptionType::text && key.choices.empty()) text += ", \"minLength\": 1";
  if (!key.choices.empty()) {
    std::string choices;
    for (std::string_view choice : key.choices)
      choices += (choices.empty() ? "" : ", ") + text::quoted(choice);
    if (key.nullable()) choices += ", null";
    text += fmt::format(", \"enum\": [{}]", choices);
  }
  if (const Checked<KeyValue> value = parse_value(key, key.fallback)) {
    text += fmt::format(", \"default\": {}", format_value(key, *value));
  }
  std::string help = key.help;
  if (const std::string range = range_text(key); !range.empty()) help += fmt::format(" Allowed: {}.", range);
  if (!key.null_means.empty()) help += fmt::format(" Unset (null): {}.", key.null_means);
  return text + fmt::format(", \"description\": {}", text::quoted(help));
}

// The members of a section's schema, without braces.
std::string section_text(std::span<const Key> keys, std::size_t depth, const std::string& indent) {
  std::string text = indent + "\"type\": \"object\",\n" + indent + "\"additionalProperties\": false,\n";
  text += indent + "\"patternProperties\": { \"^(\\\\$schema|//|x-.*)$\": {} },\n";
  text += indent + "\"properties\": {\n";
  const std::vector<Branch> branches = split(keys, depth);
  for (const Branch& branch : branches) {
    const std::string_view comma = &branch == &branches.back() ? "" : ",";
    const std::string name = text::quoted(branch.name);
    if (branch.leaf) {
      text += fmt::format("{}  {}: {{ {} }}{}\n", indent, name, leaf_text(branch.keys.front()), comma);
    } else {
      text += fmt::format("{}  {}: {{\n{}{}  }}{}\n", indent, name,
                          section_text(branch.keys, depth + 1, indent + "    "), indent, comma);
    }
  }
  return text + indent + "}\n";
}

}  // namespace

std::string schema(std::span<const CollectorSection> collectors) {
  return "{\n  \"$schema\": \"http://json-schema.org/draft-07/schema#\",\n  \"title\": \"Configuration of "
         "perjouled\",\n" +
         section_text(keys(collectors), 0, "  ") + "}\n";
}

}  // namespace perjoule::config
