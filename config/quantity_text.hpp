// Reads and writes quantities in the form that the configuration, flags and environment use. parse_X() reads the output
// of format_X() as the same value, except where format_duration() or format_size() rounds it.
//
//   duration   "5s" "1h30m" "30d"; whole numbers with units ms s m h d w y, the largest first, each at most once
//   size       "512 MiB" "512MiB"; whole numbers of KiB, MiB or GiB
//   power      "250 W" "1.2 kW"
//   number     "0.5"
//   integer    "40"
//   boolean    "true" or "false"
//
// Pure; any thread. An error says what is wrong (`what`, printed after "PATH: ") and the form that is expected
// (`help`).
#pragma once

#include <boost/system/result.hpp>
#include <string>
#include <string_view>

namespace perjoule::config {

struct Complaint {
  std::string what;
  std::string help;  // may be ""
};
template <class T>
using Checked = boost::system::result<T, Complaint>;

[[nodiscard]] Checked<double> parse_duration(std::string_view text);  // seconds, a multiple of 1 ms, 0 to 1000 years
[[nodiscard]] Checked<double> parse_size(std::string_view text);      // bytes, 0 to 2^53
[[nodiscard]] Checked<double> parse_power(std::string_view text);     // watts, >= 0
[[nodiscard]] Checked<double> parse_number(std::string_view text);    // finite; an exponent is allowed
[[nodiscard]] Checked<double> parse_integer(std::string_view text);   // -2^53 to 2^53
[[nodiscard]] Checked<bool> parse_boolean(std::string_view text);

[[nodiscard]] std::string format_duration(double seconds);  // rounded to 1 ms; >= 0
[[nodiscard]] std::string format_size(double bytes);        // a multiple of 1 KiB, else rounded down to one
[[nodiscard]] std::string format_power(double watts);
[[nodiscard]] std::string format_number(double number);  // shortest that reads back the same, without an exponent

}  // namespace perjoule::config
