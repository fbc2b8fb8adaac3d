// The table of every configuration key of this release: reading, printing, flags, the schema and the default file all
// use it.
//
// A key has one spelling in three places: file "collectors.rapl.period", flag --collector.rapl.period, environment
// PERJOULE_COLLECTORS_RAPL_PERIOD. The flag of a key NAME.enabled is NAME itself: --collector.rapl, --no-storage.
// Units are seconds, bytes and watts. Errors are Complaints without a position; the caller adds it. Values only; any
// thread.
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

using KeyValue = std::optional<Options::Value>;  // none: null, which means unset

struct Key {
  std::string path;
  OptionType type = OptionType::text;
  std::string fallback = {};  // the default, written as for a flag (lists comma-separated); "": unset
  std::string help = {};
  double min = 0;  // in the base unit; ignored where min == max
  double max = 0;
  std::vector<std::string_view> choices = {};  // allowed strings; empty: any
  bool needs_restart = false;
  bool secret = false;  // the value may contain secrets: no error, log line or print-config repeats it (secrets.hpp)
  std::string_view null_means = {};  // the effect when it is unset; shown in the documentation
  std::optional<Complaint> (*check)(const Options::Value&) = nullptr;  // checks beyond type and range
  std::function<void(Settings&, const Options::Value&)> store;         // not called when unset
  ExamineRules examine = {};                                           // for an object_list or a target_list

  [[nodiscard]] bool nullable() const { return fallback.empty(); }
};

// In the order of `describe keys`; the keys of a section are contiguous.
[[nodiscard]] std::vector<Key> keys(std::span<const CollectorSection> collectors, const ExamineRules& rules = {});

// The section `alerts`, for keys() alone.
void add_alert_keys(std::vector<Key>& keys, const ExamineRules& rules);

// The key web.external_url, for keys() alone.
[[nodiscard]] Key external_url_key();

// Checks a string in which {hostname} and {port} are replaced.
[[nodiscard]] std::optional<Complaint> check_template(std::string_view text);

[[nodiscard]] std::string flag_name(const Key& key);         // "web.listen-address", without the leading dashes
[[nodiscard]] std::string environment_name(const Key& key);  // "PERJOULE_WEB_LISTEN_ADDRESS"

// The form of the key's values, for error messages and documentation: "a duration", "one of logfmt, json".
[[nodiscard]] std::string expectation(const Key& key);
[[nodiscard]] std::string range_text(const Key& key);  // "1s to 1m"; "" without a range

inline constexpr std::size_t list_max = 256;
inline constexpr std::size_t text_length_max = 4096;

// From an environment variable, a flag or the table's own fallback.
[[nodiscard]] Checked<KeyValue> parse_value(const Key& key, std::string_view text);
// From a file. `place` is set to the position of the value or, if an item of a list has an error, of that item.
[[nodiscard]] Checked<KeyValue> parse_value(const Key& key, const json::Value& value, Place& place);
// As JSON; read from a file it is the same value again. Secrets are in it: print_config() masks them (secrets.hpp).
[[nodiscard]] std::string format_value(const Key& key, const KeyValue& value);

}  // namespace perjoule::config
