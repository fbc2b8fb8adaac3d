// A collector's own configuration keys: a table declared by the collector, and the values that the configuration sets.
//
// Names, types, defaults and help of the keys are in the table only; `describe keys`, the JSON schema and the error
// messages read them from it. Values only; any thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace perjoule {

// `text_map`: an object with string values; the entries of a layer are added to those of the layers below.
// `object_list`: a list of objects that config/ does not interpret; the value is their JSON as a string.
// `target_list`: the same for a list of URLs and objects (config/receiver.hpp).
enum class OptionType : std::uint8_t {
  boolean,
  integer,
  number,
  text,
  duration,
  size,
  power,
  text_list,
  text_map,
  object_list,
  target_list
};

struct Option {
  std::string_view key;
  OptionType type = OptionType::text;
  std::string_view fallback;  // the default, written as in the configuration file; "": unset (null)
  std::string_view help;
  double min = 0;  // range of numbers, in the base unit (seconds, bytes, watts); ignored where min == max
  double max = 0;
};

// Checked values of one table; unset keys are not in it. Durations are in seconds, sizes in bytes, powers in watts.
class Options {
 public:
  using Value = std::variant<bool, double, std::string, std::vector<std::string>, std::map<std::string, std::string>>;
  void set(std::string key, Value value) { values_.insert_or_assign(std::move(key), std::move(value)); }

  [[nodiscard]] bool has(std::string_view key) const { return values_.find(key) != values_.end(); }
  [[nodiscard]] bool boolean(std::string_view key, bool fallback = false) const { return get<bool>(key, fallback); }
  [[nodiscard]] double number(std::string_view key, double fallback = 0) const { return get<double>(key, fallback); }
  [[nodiscard]] std::string text(std::string_view key, std::string fallback = {}) const {
    return get<std::string>(key, std::move(fallback));
  }
  [[nodiscard]] std::vector<std::string> list(std::string_view key) const {
    return get<std::vector<std::string>>(key, {});
  }
  friend bool operator==(const Options&, const Options&) = default;

 private:
  template <class T>
  T get(std::string_view key, T fallback) const {
    auto found = values_.find(key);
    if (found == values_.end()) return fallback;
    const T* value = std::get_if<T>(&found->second);
    return value ? *value : fallback;
  }
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace perjoule
