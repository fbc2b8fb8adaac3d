// Values of a key: parsed from a flag or variable, parsed from JSON, and formatted as JSON.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/keys.hpp"
#include "config/suggestion.hpp"
#include "config/text.hpp"

namespace perjoule::config {
namespace {

using Value = Options::Value;

template <class T>
Checked<KeyValue> widen(const Checked<T>& parsed) {
  if (!parsed) return parsed.error();
  return KeyValue(Value(*parsed));
}

// A number with the unit of the key, as in a configuration file.
std::string number_text(OptionType type, double number) {
  switch (type) {
    case OptionType::duration:
      return format_duration(number);
    case OptionType::size:
      return format_size(number);
    case OptionType::power:
      return format_power(number);
    default:
      return format_number(number);
  }
}

std::optional<Complaint> check_text(const Key& key, std::string_view text) {
  if (text.size() > text_length_max) return Complaint{fmt::format("longer than {} bytes", text_length_max), ""};
  if (text.find('\0') != std::string_view::npos) return Complaint{"contains a NUL", ""};
  if (first_invalid_utf8(text) != std::string_view::npos) return Complaint{"is not UTF-8", ""};
  if (text.empty()) return Complaint{"is empty", key.nullable() ? "write null to unset it" : ""};
  if (key.choices.empty()) return std::nullopt;
  for (std::string_view choice : key.choices) {
    if (text == choice) return std::nullopt;
  }
  std::string help = did_you_mean(text, key.choices);
  return Complaint{fmt::format("expected {}, got {}", expectation(key), text::quoted_short(text)), std::move(help)};
}

// The checks of a value that do not depend on its source: the range and the key's own check.
Checked<KeyValue> checked(const Key& key, Checked<KeyValue> parsed) {
  if (!parsed || !*parsed) return parsed;
  const Value& value = **parsed;
  if (const double* number = std::get_if<double>(&value); number && key.min < key.max) {
    if (*number < key.min || *number > key.max) {
      return Complaint{fmt::format("{} is out of range", number_text(key.type, *number)),
                       fmt::format("the range is {}", range_text(key))};
    }
  }
  if (key.check) {
    if (auto complaint = key.check(value)) return *std::move(complaint);
  }
  return parsed;
}

Checked<KeyValue> parse_objects(const Key& key, std::string_view text) {
  const json::Document document = json::read(text);
  if (!document.problems.empty()) return Complaint{document.problems.front().what, document.problems.front().help};
  Place ignored;
  return parse_value(key, *document.root, ignored);
}

Checked<KeyValue> parse_scalar(const Key& key, std::string_view text) {
  switch (key.type) {
    case OptionType::boolean:
      return widen(parse_boolean(text));
    case OptionType::integer:
      return widen(parse_integer(text));
    case OptionType::number:
      return widen(parse_number(text));
    case OptionType::duration:
      return widen(parse_duration(text));
    case OptionType::size:
      return widen(parse_size(text));
    case OptionType::power:
      return widen(parse_power(text));
    case OptionType::object_list:
    case OptionType::target_list:
      return parse_objects(key, text);
    case OptionType::text:
    case OptionType::text_list:
    case OptionType::text_map:
      break;
  }
  if (auto complaint = check_text(key, text)) return *std::move(complaint);
  return KeyValue(Value(std::string(text)));
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ')
    text.remove_suffix(1);
  return text;
}

Complaint wrong_type(const Key& key, const json::Value& value) {
  std::string got(json::with_article(value.type));
  if (key.secret)
    return Complaint{fmt::format("expected {}, got {}", expectation(key), got), "see `perjouled describe keys`"};
  if (value.type == json::Type::text) got += " " + text::quoted_short(value.text);
  if (value.type == json::Type::integer || value.type == json::Type::number) got += " " + format_number(value.number);
  if (value.type == json::Type::boolean) got = value.boolean ? "true" : "false";
  std::string help;
  if (value.type == json::Type::null) help = "leave the key out for its default";
  if (value.type == json::Type::integer && key.type == OptionType::duration) {
    help = fmt::format("write \"{}s\" for seconds", format_number(value.number));
  }
  if (key.type == OptionType::text_list && value.type == json::Type::text)
    help = fmt::format("write [{}]", text::quoted_short(value.text));
  if (key.type == OptionType::boolean && value.type == json::Type::text) help = "write true or false without quotes";
  return Complaint{fmt::format("expected {}, got {}", expectation(key), got), std::move(help)};
}

Checked<KeyValue> parse_list(const Key& key, const json::Value& value, Place& place) {
  if (value.items.size() > list_max) return Complaint{fmt::format("more than {} items", list_max), ""};
  std::vector<std::string> list;
  for (const json::Value& item : value.items) {
    place = item.place;
    if (item.type != json::Type::text) {
      return Complaint{fmt::format("expected a string in the list, got {}", json::with_article(item.type)), ""};
    }
    if (auto complaint = check_text(key, item.text)) return *std::move(complaint);
    list.push_back(item.text);
    // Checked one item at a time, so that the caret is under the item that has the error.
    if (!key.check) continue;
    if (auto complaint = key.check(Value(std::vector<std::string>{item.text}))) return *std::move(complaint);
  }
  place = value.place;
  return KeyValue(Value(std::move(list)));
}

using Map = std::map<std::string, std::string>;

// Checks and adds one entry at a time, so that the caret is under the entry that has the error.
std::optional<Complaint> add_entry(const Key& key, std::string name, std::string text, Map& map) {
  if (map.size() == list_max) return Complaint{fmt::format("more than {} entries", list_max), ""};
  if (text.size() > text_length_max || name.size() > text_length_max)
    return Complaint{fmt::format("longer than {} bytes", text_length_max), ""};
  if (first_invalid_utf8(text) != std::string_view::npos) return Complaint{"is not UTF-8", ""};
  if (key.check) {
    if (auto complaint = key.check(Value(Map{{name, text}}))) return complaint;
  }
  map.insert_or_assign(std::move(name), std::move(text));
  return std::nullopt;
}

Checked<KeyValue> parse_map(const Key& key, const json::Value& value, Place& place) {
  Map map;
  for (const json::Value& item : value.items) {
    place = item.place;
    if (item.type != json::Type::text)
      return Complaint{fmt::format("expected a string for {}, got {}", item.key, json::with_article(item.type)), ""};
    if (auto complaint = add_entry(key, item.key, item.text, map)) return *std::move(complaint);
  }
  place = value.place;
  return Checked<KeyValue>(boost::system::in_place_value, std::in_place, std::move(map));
}

// From a flag or variable: NAME=VALUE,NAME=VALUE
Checked<KeyValue> parse_map(const Key& key, std::string_view text) {
  Map map;
  while (!text.empty()) {
    const std::string_view item = trimmed(text.substr(0, std::min(text.find(','), text.size())));
    const std::size_t equals = std::min(item.find('='), item.size());
    const std::string_view value = item.substr(std::min(equals + 1, item.size()));
    if (auto complaint = add_entry(key, std::string(item.substr(0, equals)), std::string(value), map))
      return *std::move(complaint);
    text.remove_prefix(std::min(text.find(','), text.size() - 1) + 1);
  }
  return Checked<KeyValue>(boost::system::in_place_value, std::in_place, std::move(map));
}

Checked<KeyValue> parse_object_list(const json::Value& value, Place& place) {
  for (const json::Value& item : value.items) {
    place = item.place;
    if (item.type != json::Type::object)
      return Complaint{fmt::format("expected an object in the list, got {}", json::with_article(item.type)), ""};
  }
  place = value.place;
  return KeyValue(Value(json::write(value)));
}

}  // namespace

std::string expectation(const Key& key) {
  if (!key.choices.empty()) return fmt::format("one of {}", fmt::join(key.choices, ", "));
  switch (key.type) {
    case OptionType::boolean:
      return "true or false";
    case OptionType::integer:
      return "a whole number";
    case OptionType::number:
      return "a number";
    case OptionType::text:
      return "a string";
    case OptionType::duration:
      return "a duration such as \"5s\"";
    case OptionType::size:
      return "a size such as \"512 MiB\"";
    case OptionType::power:
      return "a power such as \"250 W\"";
    case OptionType::text_list:
      return "a list of strings";
    case OptionType::text_map:
      return "an object of strings";
    case OptionType::object_list:
      return "a list of objects";
    case OptionType::target_list:
      return "a list of URLs and objects";
  }
  return "";
}

std::string range_text(const Key& key) {
  if (!(key.min < key.max)) return "";
  return fmt::format("{} to {}", number_text(key.type, key.min), number_text(key.type, key.max));
}

Checked<KeyValue> parse_value(const Key& key, std::string_view text) {
  if (text.empty() && key.nullable()) return KeyValue();
  if (key.type == OptionType::text_map) return parse_map(key, text);
  if (key.type != OptionType::text_list) return checked(key, parse_scalar(key, text));
  std::vector<std::string> list;
  while (!text.empty()) {
    const std::size_t comma = std::min(text.find(','), text.size());
    const std::string_view item = trimmed(text.substr(0, comma));
    if (auto complaint = check_text(key, item)) return *std::move(complaint);
    if (list.size() == list_max) return Complaint{fmt::format("more than {} items", list_max), ""};
    list.emplace_back(item);
    text.remove_prefix(std::min(comma + 1, text.size()));
  }
  return checked(key, KeyValue(Value(std::move(list))));
}

Checked<KeyValue> parse_value(const Key& key, const json::Value& value, Place& place) {
  using json::Type;
  place = value.place;
  if (value.type == Type::null && key.nullable()) return KeyValue();
  const bool is_number = value.type == Type::integer || value.type == Type::number;
  switch (key.type) {
    case OptionType::boolean:
      if (value.type == Type::boolean) return checked(key, KeyValue(Value(value.boolean)));
      break;
    case OptionType::integer:
      if (value.type == Type::integer) return checked(key, KeyValue(Value(value.number)));
      break;
    case OptionType::number:
      if (is_number) return checked(key, KeyValue(Value(value.number)));
      break;
    case OptionType::text_list:
      if (value.type == Type::array) {
        Checked<KeyValue> list = parse_list(key, value, place);
        return list ? checked(key, std::move(list)) : list;
      }
      break;
    case OptionType::text_map:
      if (value.type == Type::object) return parse_map(key, value, place);
      break;
    case OptionType::object_list:
      if (value.type == Type::array) return parse_object_list(value, place);
      break;
    case OptionType::target_list:  // its items were checked by key.examine
      if (value.type == Type::array) return KeyValue(Value(json::write(value)));
      break;
    default:
      if (value.type == Type::text) return checked(key, parse_scalar(key, value.text));
      break;
  }
  return wrong_type(key, value);
}

std::string format_value(const Key& key, const KeyValue& value) {
  if (!value) return "null";
  if (const bool* flag = std::get_if<bool>(&*value)) return *flag ? "true" : "false";
  if (const auto* text = std::get_if<std::string>(&*value))
    return key.type == OptionType::object_list || key.type == OptionType::target_list ? *text : text::quoted(*text);
  if (const auto* map = std::get_if<Map>(&*value)) {
    std::string entries;
    for (const auto& [name, text] : *map)
      entries += fmt::format("{}{}: {}", entries.empty() ? "" : ", ", text::quoted(name), text::quoted(text));
    return "{" + entries + "}";
  }
  if (const auto* list = std::get_if<std::vector<std::string>>(&*value)) {
    std::string items;
    for (const std::string& item : *list)
      items += (items.empty() ? "" : ", ") + text::quoted(item);
    return "[" + items + "]";
  }
  const std::string number = number_text(key.type, std::get<double>(*value));
  return key.type == OptionType::integer || key.type == OptionType::number ? number : text::quoted(number);
}

}  // namespace perjoule::config
