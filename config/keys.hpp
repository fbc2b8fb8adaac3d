// The table of every key of this release: the single source of reading, printing, flags, schema and the default file.
//
// A key has one spelling in three places: file "collectors.rapl.period", flag --collector.rapl.period, environment
// PERJOULE_COLLECTORS_RAPL_PERIOD. The flag of a key NAME.enabled is NAME itself: --collector.rapl, --no-storage.
// Values only; any thread.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/json_reader.hpp"
#include "config/loader.hpp"
#include "config/quantity_text.hpp"

namespace perjoule::config {

using KeyValue = std::optional<Options::Value>;  // none: null, not set

struct Key {
  std::string path;
  OptionType type = OptionType::text;
  std::string fallback = {};  // as in a file, lists comma-separated; "" = null
  std::string help = {};
  double min = 0;  // in the base unit; ignored where min == max
  double max = 0;
  std::vector<std::string_view> choices = {};  // of a text; empty: any
  bool needs_restart = false;
  std::string_view null_means = {};  // what null stands for; shown in the documentation
  std::optional<Complaint> (*check)(const Options::Value&) = nullptr;  // form beyond type and range
  std::function<void(Settings&, const Options::Value&)> store;         // not called for null
  ExamineRules examine = {};                                           // of an object_list

  [[nodiscard]] bool nullable() const { return fallback.empty(); }
};

// In the order of `describe config`: the members of a section lie together.
[[nodiscard]] std::vector<Key> keys(std::span<const CollectorSection> collectors, const ExamineRules& rules = {});

// The section `alerts`, for keys() alone.
void add_alert_keys(std::vector<Key>& keys, const ExamineRules& rules);

[[nodiscard]] std::string flag_name(const Key& key);         // "web.listen-address", without the dashes in front
[[nodiscard]] std::string environment_name(const Key& key);  // "PERJOULE_WEB_LISTEN_ADDRESS"

// What a value of the key looks like, for refusals and documentation: "a duration", "one of logfmt, json".
[[nodiscard]] std::string expectation(const Key& key);
[[nodiscard]] std::string range_text(const Key& key);  // "1s to 1m"; "" without a range

inline constexpr std::size_t list_max = 256;
inline constexpr std::size_t text_length_max = 4096;

// From the environment, a flag or the table's own fallback.
[[nodiscard]] Checked<KeyValue> parse_value(const Key& key, std::string_view text);
// From a file. `place` starts as the value's and moves to the item of a list that is wrong.
[[nodiscard]] Checked<KeyValue> parse_value(const Key& key, const json::Value& value, Place& place);
// As JSON text, so that a file with it reads back the same.
[[nodiscard]] std::string format_value(const Key& key, const KeyValue& value);

}  // namespace perjoule::config
