// Parsers of energy prices and carbon intensities: "0.12 USD/kWh", "95 EUR/MWh", "400 g/kWh", "0.4 kg/kWh".
//
// Pure; any thread. A price may be negative (electricity markets have negative prices), an intensity may not. An error
// says what is wrong and how to write it.
#pragma once

#include <string>
#include <string_view>

#include "config/quantity_text.hpp"

namespace perjoule::config {

struct Price {
  double per_kilowatt_hour = 0;
  std::string currency;  // ISO 4217: three capital letters
  friend bool operator==(const Price&, const Price&) = default;
};

[[nodiscard]] Checked<Price> parse_price(std::string_view text);
[[nodiscard]] Checked<double> parse_carbon(std::string_view text);  // grams of CO2 equivalent per kilowatt-hour

}  // namespace perjoule::config
