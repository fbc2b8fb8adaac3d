// Writes the key table: the flags of --help, print-config, `describe keys` and the file that the package installs
// (`describe config`).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "config/keys.hpp"
#include "config/secrets.hpp"
#include "config/text.hpp"
#include "config/tree.hpp"

namespace perjoule::config {
namespace {

std::string default_text(const Key& key) {
  const Checked<KeyValue> value = parse_value(key, key.fallback);
  return value ? format_value(key, *value) : "null";
}

std::string cell(std::string_view text) {
  std::string escaped;
  for (char c : text) {
    if (c == '|') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

std::string allowed(const Key& key) {
  if (!key.choices.empty()) return expectation(key);
  return range_text(key);
}

std::string_view type_name(const Key& key) {
  switch (key.type) {
    case OptionType::boolean:
      return "boolean";
    case OptionType::integer:
      return "integer";
    case OptionType::number:
      return "number";
    case OptionType::text:
      return "string";
    case OptionType::duration:
      return "duration";
    case OptionType::size:
      return "size";
    case OptionType::power:
      return "power";
    case OptionType::text_list:
      return "list of strings";
    case OptionType::text_map:
      return "object of strings";
    case OptionType::object_list:
      return "list of objects";
    case OptionType::target_list:
      return "list of URLs and objects";
  }
  return "";
}

// The remark above a key of the installed file.
std::string remark(const Key& key) {
  std::string text = key.help;
  if (const std::string range = allowed(key); !range.empty()) text += fmt::format(" Allowed: {}.", range);
  if (!key.null_means.empty()) text += fmt::format(" Unset (null): {}.", key.null_means);
  if (key.needs_restart) text += " Needs a restart.";
  return text;
}

// `text` as // comment lines of at most 100 columns.
std::string comment(std::string_view text, std::string_view indent) {
  constexpr std::size_t width = 100;
  std::string lines;
  while (!text.empty()) {
    std::size_t end = text.size();
    if (end > width) {
      end = text.rfind(' ', width);
      if (end == std::string_view::npos || end == 0) end = std::min(text.find(' ', width), text.size());
    }
    lines += fmt::format("{}// {}\n", indent, text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// Sections are written out, so that one line is uncommented to set a key.
std::string section_text(std::span<const Key> keys, std::size_t depth) {
  const std::string indent(2 * depth + 2, ' ');
  std::string text;
  for (const Branch& branch : split(keys, depth)) {
    const std::string name = text::quoted(branch.name);
    if (branch.leaf) {
      text += comment(remark(branch.keys.front()), indent);
      text += fmt::format("{}// {}: {},\n", indent, name, default_text(branch.keys.front()));
    } else {
      text += fmt::format("{}{}: {{\n{}{}}},\n", indent, name, section_text(branch.keys, depth + 1), indent);
    }
  }
  return text;
}

// "web", "collector nvml": the part of --help that a key belongs to.
std::string group_of(const Key& key) {
  constexpr std::string_view collectors = "collectors.";
  const std::string_view path = key.path;
  if (!path.starts_with(collectors)) return std::string(path.substr(0, path.find('.')));
  const std::string_view rest = path.substr(collectors.size());
  return rest.find('.') == std::string_view::npos ? "collectors"
                                                  : fmt::format("collector {}", rest.substr(0, rest.find('.')));
}

// What stands for the value in --help.
std::string placeholder(const Key& key) {
  if (!key.choices.empty()) return fmt::format("{}", fmt::join(key.choices, "|"));
  switch (key.type) {
    case OptionType::boolean:
      return "";
    case OptionType::integer:
    case OptionType::number:
      return "NUMBER";
    case OptionType::duration:
      return "DURATION";
    case OptionType::size:
      return "SIZE";
    case OptionType::power:
      return "POWER";
    case OptionType::text_map:
      return "NAME=VALUE";
    case OptionType::object_list:
      return "JSON";
    case OptionType::target_list:
      return "URL";
    case OptionType::text:
    case OptionType::text_list:
      break;
  }
  return "VALUE";
}

std::string first_sentence(std::string_view text) {
  const std::size_t end = text.find(". ");
  return std::string(text.substr(0, end == std::string_view::npos ? end : end + 1));
}

}  // namespace

std::vector<FlagHelp> flags(std::span<const CollectorSection> collectors) {
  std::vector<FlagHelp> flags;
  for (const Key& key : keys(collectors)) {
    const bool list =
        key.type == OptionType::text_list || key.type == OptionType::text_map || key.type == OptionType::target_list;
    flags.push_back({flag_name(key), group_of(key), placeholder(key), first_sentence(key.help),
                     key.nullable() ? std::string(key.null_means) : key.fallback, list,
                     key.type == OptionType::boolean});
  }
  return flags;
}

std::string print_config(const Loaded& loaded) {
  const auto shown = [](const Effective& key) { return key.secret ? mask_secret_value(key.value) : key.value; };
  // Limits the width of the value column, so that one long list does not push every origin far to the right.
  constexpr std::size_t value_width_max = 40;
  std::size_t path_width = 0;
  std::size_t value_width = 0;
  for (const Effective& key : loaded.effective) {
    path_width = std::max(path_width, key.path.size());
    value_width = std::max(value_width, std::min(shown(key).size(), value_width_max));
  }
  std::string text;
  for (const Effective& key : loaded.effective) {
    text += fmt::format("{:<{}} = {:<{}}  # {}\n", key.path, path_width, shown(key), value_width,
                        text::printable(key.origin));
  }
  return text;
}

std::string default_file(std::span<const CollectorSection> collectors) {
  return "// The configuration of perjouled. Every key is commented out and shows its default: uncomment a line to "
         "change it.\n"
         "// Comments and trailing commas are allowed. `perjouled check-config` finds mistakes.\n{\n" +
         section_text(keys(collectors), 0) + "}\n";
}

std::string describe_config(std::span<const CollectorSection> collectors) {
  std::string text =
      "| Key | Type | Default | Allowed | Flag | Environment | Meaning |\n"
      "|---|---|---|---|---|---|---|\n";
  for (const Key& key : keys(collectors)) {
    std::string help = key.help;
    if (!key.null_means.empty()) help += fmt::format(" Unset (null): {}.", key.null_means);
    if (key.needs_restart) help += " Needs a restart.";
    const std::string_view negatable = key.type == OptionType::boolean ? "[no-]" : "";
    text += fmt::format("| `{}` | {} | `{}` | {} | `--{}{}` | `{}` | {} |\n", key.path, type_name(key),
                        cell(default_text(key)), cell(allowed(key)), negatable, flag_name(key), environment_name(key),
                        cell(help));
  }
  return text;
}

}  // namespace perjoule::config
