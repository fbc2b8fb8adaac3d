// Numbers with a unit in their type. Everything inside the daemon is in base units (watts, joules, degrees Celsius,
// hertz, seconds, bytes, ratios from 0 to 1). A driver converts once, where it reads, with one of the named functions
// below; the constructor is private, so that no number gets a unit without naming the conversion.
//
// Values only; any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace perjoule {

enum class Unit : std::uint8_t { none, celsius, watt, joule, volt, ampere, hertz, byte, second, ratio, gram, rpm };

// The suffix that a metric of this unit has in its name; empty for Unit::none.
constexpr std::string_view suffix(Unit unit) {
  switch (unit) {
    case Unit::none:
      return "";
    case Unit::celsius:
      return "celsius";
    case Unit::watt:
      return "watts";
    case Unit::joule:
      return "joules";
    case Unit::volt:
      return "volts";
    case Unit::ampere:
      return "amperes";
    case Unit::hertz:
      return "hertz";
    case Unit::byte:
      return "bytes";
    case Unit::second:
      return "seconds";
    case Unit::ratio:
      return "ratio";
    case Unit::gram:
      return "grams";
    case Unit::rpm:
      return "rpm";
  }
  return "";
}

struct QuantityMaker;

template <Unit U>
class Quantity {
 public:
  constexpr double value() const { return value_; }
  friend constexpr auto operator<=>(const Quantity&, const Quantity&) = default;

 private:
  friend struct QuantityMaker;
  constexpr explicit Quantity(double value) : value_(value) {}
  double value_;
};

using Celsius = Quantity<Unit::celsius>;
using Watts = Quantity<Unit::watt>;
using Joules = Quantity<Unit::joule>;
using Volts = Quantity<Unit::volt>;
using Amperes = Quantity<Unit::ampere>;
using Hertz = Quantity<Unit::hertz>;
using Bytes = Quantity<Unit::byte>;
using Seconds = Quantity<Unit::second>;
using Ratio = Quantity<Unit::ratio>;
using Grams = Quantity<Unit::gram>;
using Rpm = Quantity<Unit::rpm>;
using Count = Quantity<Unit::none>;

struct QuantityMaker {
  template <Unit U>
  static constexpr Quantity<U> make(double value) {
    return Quantity<U>(value);
  }
};

constexpr Celsius celsius(double value) {
  return QuantityMaker::make<Unit::celsius>(value);
}
constexpr Celsius celsius_from_milli(std::int64_t value) {
  return celsius(static_cast<double>(value) / 1e3);
}
constexpr Watts watts(double value) {
  return QuantityMaker::make<Unit::watt>(value);
}
constexpr Watts watts_from_milli(std::int64_t value) {
  return watts(static_cast<double>(value) / 1e3);
}
constexpr Watts watts_from_micro(std::int64_t value) {
  return watts(static_cast<double>(value) / 1e6);
}
constexpr Joules joules(double value) {
  return QuantityMaker::make<Unit::joule>(value);
}
constexpr Joules joules_from_micro(std::int64_t value) {
  return joules(static_cast<double>(value) / 1e6);
}
constexpr Volts volts_from_milli(std::int64_t value) {
  return QuantityMaker::make<Unit::volt>(static_cast<double>(value) / 1e3);
}
constexpr Amperes amperes(double value) {
  return QuantityMaker::make<Unit::ampere>(value);
}
constexpr Hertz hertz(double value) {
  return QuantityMaker::make<Unit::hertz>(value);
}
constexpr Hertz hertz_from_kilo(std::int64_t value) {
  return hertz(static_cast<double>(value) * 1e3);
}
constexpr Bytes bytes(double value) {
  return QuantityMaker::make<Unit::byte>(value);
}
constexpr Seconds seconds(double value) {
  return QuantityMaker::make<Unit::second>(value);
}
constexpr Seconds seconds_from_micro(std::int64_t value) {
  return seconds(static_cast<double>(value) / 1e6);
}
constexpr Ratio ratio(double value) {
  return QuantityMaker::make<Unit::ratio>(value);
}
constexpr Grams grams(double value) {
  return QuantityMaker::make<Unit::gram>(value);
}
constexpr Rpm rpm(double value) {
  return QuantityMaker::make<Unit::rpm>(value);
}
constexpr Count count(double value) {
  return QuantityMaker::make<Unit::none>(value);
}

}  // namespace perjoule
