// The summary of a rule: text with placeholders, filled in for each alert. Pure; any thread.
//
//   {LABEL}            a label of the rule's value; an empty one takes the blank before it away too
//   {value}            four significant digits, without an exponent below 10^15: 12.35, 12346
//   {value:integer}    rounded: 8
//   {value:percent}    of a ratio: 0.342 becomes "34 %"; below 10 % with one decimal, 0.014 becomes "1.4 %"
//   {value:duration}   of seconds: "45 s", "3 min 20 s", "2 h 5 min", "4 d 3 h"
//
// Text that is no known placeholder stays as it is; rule_reader refuses it.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "collectors/labels.hpp"

namespace perjoule::alerts {

// What stands between the braces for the value, without the braces.
inline constexpr std::array<std::string_view, 4> value_placeholders = {"value", "value:integer", "value:percent",
                                                                       "value:duration"};

[[nodiscard]] std::string fill_summary(std::string_view text, const Labels& labels, double value);
// The same text as a template of Prometheus. Its numbers are written by Prometheus' own functions: "34.2%", "3m 20s".
[[nodiscard]] std::string summary_template(std::string_view text);

}  // namespace perjoule::alerts
