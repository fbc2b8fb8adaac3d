#include "daemon/alerts/rules/summary.hpp"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

namespace perjoule::alerts {

namespace {

std::string plain(double value) {
  const double size = std::abs(value);
  return size >= 9999.5 && size < 1e15 ? fmt::format("{:.0f}", value) : fmt::format("{:.4g}", value);
}

std::string percent(double ratio) {
  const double value = ratio * 100;
  if (!std::isfinite(value)) return plain(value);
  return std::abs(value) < 9.95 ? fmt::format("{:.2g} %", std::abs(value) < 0.05 ? 0.0 : value)
                                : fmt::format("{:.0f} %", value);
}

// The two largest units, because the seconds of an alert that lasts for days are noise.
std::string duration(double seconds) {
  if (!std::isfinite(seconds) || std::abs(seconds) > 1e12) return plain(seconds) + " s";
  const auto total = static_cast<std::int64_t>(std::llround(std::abs(seconds)));
  const std::string_view sign = seconds < 0 && total > 0 ? "-" : "";
  struct Unit {
    std::int64_t seconds;
    std::string_view name;
  };
  constexpr std::array<Unit, 4> units = {Unit{86'400, "d"}, Unit{3'600, "h"}, Unit{60, "min"}, Unit{1, "s"}};
  for (std::size_t i = 0; i + 1 < units.size(); ++i) {
    if (total < units[i].seconds) continue;
    const std::int64_t rest = total % units[i].seconds / units[i + 1].seconds;
    const std::string text = fmt::format("{}{} {}", sign, total / units[i].seconds, units[i].name);
    return rest == 0 ? text : fmt::format("{} {} {}", text, rest, units[i + 1].name);
  }
  return fmt::format("{}{} s", sign, total);
}

std::string filled(std::string_view name, const Labels& labels, double value) {
  if (name == "value") return plain(value);
  if (name == "value:integer") return fmt::format("{:.0f}", value);
  if (name == "value:percent") return percent(value);
  if (name == "value:duration") return duration(value);
  return std::string(label_value(labels, name));
}

std::string templated(std::string_view name, const Labels& /*labels*/, double /*value*/) {
  if (name == "value") return "{{ $value | printf \"%.4g\" }}";
  if (name == "value:integer") return "{{ $value | printf \"%.0f\" }}";
  if (name == "value:percent") return "{{ $value | humanizePercentage }}";
  if (name == "value:duration") return "{{ $value | humanizeDuration }}";
  return fmt::format("{{{{ $labels.{} }}}}", name);
}

using Replace = std::string (*)(std::string_view name, const Labels& labels, double value);

std::string replaced(std::string_view text, const Labels& labels, double value, Replace replace) {
  std::string out;
  for (std::size_t open = text.find('{'); open != std::string_view::npos; open = text.find('{')) {
    const std::size_t close = text.find('}', open);
    if (close == std::string_view::npos) break;
    const std::string by = replace(text.substr(open + 1, close - open - 1), labels, value);
    out.append(text.substr(0, open));
    if (by.empty() && out.ends_with(' ')) out.pop_back();
    out += by;
    text.remove_prefix(close + 1);
  }
  return out.append(text);
}

}  // namespace

std::string fill_summary(std::string_view text, const Labels& labels, double value) {
  return replaced(text, labels, value, filled);
}

std::string summary_template(std::string_view text) {
  return replaced(text, {}, 0, templated);
}

}  // namespace perjoule::alerts
