#include "config/rate_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "config/json_reader.hpp"
#include "config/text.hpp"

namespace perjoule::config {

namespace {

constexpr std::string_view price_help = "write a number, a currency and kWh or MWh, such as 0.12 USD/kWh";
constexpr std::string_view carbon_help =
    "write a number and a unit (g/kWh, kg/kWh, g/MWh, kg/MWh, lb/MWh), such as 400 g/kWh";
constexpr double price_max = 1'000'000;  // per kWh, positive or negative, in any currency
constexpr double carbon_max = 10'000;    // generous: even the worst lignite plants are below 2,000 g/kWh

struct Parts {
  double number = 0;
  std::string_view what;    // "USD", "g"
  std::string_view energy;  // "kWh", "MWh"
};

// Splits "0.12 USD/kWh"; at most one blank after the number.
std::optional<Parts> split(std::string_view text) {
  const std::size_t slash = text.find('/');
  const std::size_t end = text.find_first_not_of("+-.0123456789");
  if (slash == std::string_view::npos || end == std::string_view::npos || end > slash) return std::nullopt;
  const Checked<double> number = parse_number(text.substr(0, end));
  if (!number) return std::nullopt;
  Parts parts{*number, text.substr(end, slash - end), text.substr(slash + 1)};
  if (parts.what.starts_with(' ')) parts.what.remove_prefix(1);
  return parts;
}

}  // namespace

Checked<Price> parse_price(std::string_view text) {
  Complaint complaint{fmt::format("{} is not a price of energy", text::quoted_short(text)), std::string(price_help)};
  const std::optional<Parts> parts = split(text);
  if (!parts || (parts->energy != "kWh" && parts->energy != "MWh")) return complaint;
  const bool is_currency = parts->what.size() == 3 && std::all_of(parts->what.begin(), parts->what.end(),
                                                                  [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!is_currency) {
    return Complaint{fmt::format("{} is not a currency", text::quoted_short(parts->what)),
                     "write three capital letters (ISO 4217), such as USD, EUR or KRW"};
  }
  const double per_kilowatt_hour = parts->energy == "MWh" ? parts->number / 1000 : parts->number;
  if (per_kilowatt_hour < -price_max || per_kilowatt_hour > price_max) {
    return Complaint{fmt::format("{} is implausible (limit +-1000000 per kWh)", text::quoted_short(text)),
                     std::string(price_help)};
  }
  return Price{per_kilowatt_hour, std::string(parts->what)};
}

Checked<double> parse_carbon(std::string_view text) {
  struct Unit {
    std::string_view what;
    std::string_view energy;
    double grams_per_kilowatt_hour;
  };
  constexpr std::array<Unit, 5> units = {
      {{"g", "kWh", 1}, {"kg", "kWh", 1000}, {"kg", "MWh", 1}, {"g", "MWh", 0.001}, {"lb", "MWh", 0.45359237}}};
  const std::optional<Parts> parts = split(text);
  for (const Unit& unit : units) {
    if (!parts || parts->what != unit.what || parts->energy != unit.energy) continue;
    const double grams = parts->number * unit.grams_per_kilowatt_hour;
    if (grams >= 0 && grams <= carbon_max) return grams;
    return Complaint{fmt::format("{} is not between 0 and 10000 g/kWh", text::quoted_short(text)),
                     std::string(carbon_help)};
  }
  return Complaint{fmt::format("{} is not a carbon intensity", text::quoted_short(text)), std::string(carbon_help)};
}

}  // namespace perjoule::config
