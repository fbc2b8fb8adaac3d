// A metric is declared once, as a constant beside the code that reads it, or in its folder's metrics.hpp when several
// drivers share it. Exposition, storage, `describe`, configuration and the tests all read that constant.
//
//   inline constexpr auto fan_speed =
//       gauge<Unit::rpm>("perjoule_fan_speed_rpm", "Speed of a fan ...", "chip", "sensor");
//                        name                      HELP                  names of its labels
//
// The makers are consteval: a name without its unit's suffix, a counter without _total, a bad character or a label that
// Prometheus reserves does not compile. Names and labels are public interface: add a line to CHANGELOG.md before a
// rename. Constants only; any thread.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>

#include "collectors/quantity.hpp"

namespace perjoule {

enum class Kind : std::uint8_t { gauge, counter };  // a counter is cumulative, never a delta

struct Metric {
  std::string_view name;
  Unit unit = Unit::none;
  Kind kind = Kind::gauge;
  bool persisted = false;  // a counter that the ledger keeps over restarts and reboots
  std::string_view help;
  std::array<std::string_view, 8> labels = {};
  std::uint8_t label_count = 0;
  double storage_step = 0;  // history rounds values to multiples of it, far below the sensor's error; 0: lossless
};

template <Unit U, Kind K, std::size_t Labels>
struct Declared : Metric {};

// Whether a label says which device it is. A total of the ledger goes on when one of the others changes: the slot of a
// GPU (its UUID is the identity), and the role of a sensor.
constexpr bool is_identity(const Metric& metric, std::string_view label) {
  const auto end = metric.labels.begin() + metric.label_count;
  const bool has_device = std::find(metric.labels.begin(), end, "device") != end;
  return label != "gpu" && label != "role" && (label != "uuid" || !has_device);
}

namespace metric_detail {

constexpr bool is_lower(char c) {
  return c >= 'a' && c <= 'z';
}
constexpr bool is_word(std::string_view text) {
  if (text.empty() || !is_lower(text.front())) return false;
  for (char c : text) {
    if (!is_lower(c) && c != '_' && (c < '0' || c > '9')) return false;
  }
  return true;
}
constexpr bool ends_with_word(std::string_view name, std::string_view word) {
  return name.size() > word.size() + 1 && name.ends_with(word) && name[name.size() - word.size() - 1] == '_';
}

// No throw is ever executed: a consteval call that reaches one does not compile, and the compiler prints its line.
consteval Metric check(Metric metric) {
  if (!is_word(metric.name)) throw "a metric name is lower case letters, digits and underscores";
  if (!metric.name.starts_with("perjoule_") && !metric.name.starts_with("process_"))
    throw "a metric name starts with perjoule_";
  std::string_view name = metric.name;
  if (metric.kind == Kind::counter) {
    if (!ends_with_word(name, "total")) throw "a counter ends in _total";
    name.remove_suffix(6);
  } else if (ends_with_word(name, "total")) {
    throw "a gauge does not end in _total";
  }
  if (metric.unit != Unit::none && !ends_with_word(name, suffix(metric.unit))) throw "the name lacks its unit's suffix";
  if (metric.help.size() < 10) throw "HELP says what is measured, from where";
  for (char c : metric.help) {
    if (c == '\n' || c == '\\') throw "HELP is one line without backslashes";
  }
  for (std::size_t i = 0; i < metric.label_count; ++i) {
    if (!is_word(metric.labels[i]) || metric.labels[i].starts_with("__")) throw "a label is a lower case word";
    if (metric.labels[i] == "le" || metric.labels[i] == "quantile" || metric.labels[i] == "instance" ||
        metric.labels[i] == "job") {
      throw "this label is reserved";
    }
  }
  return metric;
}

template <Unit U, Kind K, class... L>
consteval Declared<U, K, sizeof...(L)> declare(bool persisted, std::string_view name, std::string_view help,
                                               L... labels) {
  static_assert(sizeof...(L) <= 8);
  return {check(Metric{name, U, K, persisted, help, {std::string_view(labels)...}, sizeof...(L), 0})};
}

}  // namespace metric_detail

template <Unit U, class... L>
consteval auto gauge(std::string_view name, std::string_view help, L... labels) {
  return metric_detail::declare<U, Kind::gauge>(false, name, help, labels...);
}

// The same metric, whose values the history rounds to multiples of `step`; /metrics and the ledger keep full precision.
template <Unit U, Kind K, std::size_t Labels>
consteval auto stored_to(double step, Declared<U, K, Labels> metric) {
  if (!(step > 0)) throw "a step is greater than 0";
  metric.storage_step = step;
  return metric;
}

// A counter as its source keeps it: it restarts when the source does.
template <Unit U, class... L>
consteval auto counter(std::string_view name, std::string_view help, L... labels) {
  return metric_detail::declare<U, Kind::counter>(false, name, help, labels...);
}

// A counter that the ledger keeps: it never decreases, not even over restarts and reboots.
template <Unit U, class... L>
consteval auto persisted_counter(std::string_view name, std::string_view help, L... labels) {
  return metric_detail::declare<U, Kind::counter>(true, name, help, labels...);
}

}  // namespace perjoule
