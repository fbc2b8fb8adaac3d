// Quantities as people write them in the configuration, and back: format(parse(text)) means the same as text.
//
//   duration   "5s" "1h30m" "30d"; units ms s m h d w y, the largest first, each at most once
//   size       "512 MiB" "512MiB"; whole numbers of KiB, MiB or GiB
//   power      "250 W" "1.2 kW"
//   number     "0.5"
//   integer    "40"
//   boolean    "true" or "false"
//
// Pure; any thread. A refusal says what is wrong (`what`, to follow "PATH: ") and how it is written (`help`).
#pragma once

#include <boost/system/result.hpp>
#include <string>
#include <string_view>

namespace perjoule::config {

struct Complaint {
  std::string what;
  std::string help;
};
template <class T>
using Checked = boost::system::result<T, Complaint>;

[[nodiscard]] Checked<double> parse_duration(std::string_view text);  // seconds, a multiple of 1 ms, to 1000 years
[[nodiscard]] Checked<double> parse_size(std::string_view text);      // bytes, to 2^53
[[nodiscard]] Checked<double> parse_power(std::string_view text);     // watts
[[nodiscard]] Checked<double> parse_number(std::string_view text);    // finite
[[nodiscard]] Checked<double> parse_integer(std::string_view text);   // to 2^53 either way
[[nodiscard]] Checked<bool> parse_boolean(std::string_view text);

[[nodiscard]] std::string format_duration(double seconds);  // to the millisecond
[[nodiscard]] std::string format_size(double bytes);        // a multiple of 1 KiB
[[nodiscard]] std::string format_power(double watts);
[[nodiscard]] std::string format_number(double number);  // shortest that reads back the same; never an exponent

}  // namespace perjoule::config
