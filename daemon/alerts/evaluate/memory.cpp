#include "daemon/alerts/evaluate/memory.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

namespace perjoule::alerts {

namespace {

// Removes the characters up to and including `end` from the front of `text`; returns those before `end`. Nothing if
// there is no `end`.
std::optional<std::string_view> take(std::string_view& text, char end) {
  const std::size_t size = text.find(end);
  if (size == std::string_view::npos) return std::nullopt;
  const std::string_view taken = text.substr(0, size);
  text.remove_prefix(size + 1);
  return taken;
}

template <class T>
bool read(std::string_view text, T& into) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), into);
  return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

}  // namespace

std::string memory_key(const Alert& alert) {
  return fmt::format("{}{}/{}/{}", memory_prefix, alert.name, alert.severity, label_text(alert.labels));
}

std::string memory_text(const Transition& transition) {
  const Alert& alert = transition.alert;
  return fmt::format("{} {} {} {}\n{}\n{}", alert.phase == Phase::firing ? "firing" : "pending", alert.starts_ms,
                     transition.since_ms, alert.value, transition.condition, alert.summary);
}

std::optional<Remembered> remember(std::string_view key, std::string_view text) {
  if (!key.starts_with(memory_prefix)) return std::nullopt;
  key.remove_prefix(memory_prefix.size());
  const auto name = take(key, '/');
  const auto severity = name ? take(key, '/') : std::nullopt;
  const auto labels = severity ? parse_labels(key) : std::nullopt;
  const auto phase = take(text, ' ');
  const auto starts = phase ? take(text, ' ') : std::nullopt;
  const auto since = starts ? take(text, ' ') : std::nullopt;
  const auto value = since ? take(text, '\n') : std::nullopt;
  const auto condition = value ? take(text, '\n') : std::nullopt;
  if (!labels || !condition || (*phase != "firing" && *phase != "pending")) return std::nullopt;
  Remembered made;
  made.alert.name = *name;
  made.alert.severity = *severity;
  made.alert.labels = *labels;
  made.alert.phase = *phase == "firing" ? Phase::firing : Phase::pending;
  made.alert.summary = text;
  made.condition = *condition;
  const bool right =
      read(*starts, made.alert.starts_ms) && read(*since, made.since_ms) && read(*value, made.alert.value);
  return right ? std::optional(std::move(made)) : std::nullopt;
}

}  // namespace perjoule::alerts
