#include "config/rate_text.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace perjoule::config;

TEST_CASE("accepted and refused prices") {
  CHECK((*parse_price("0.12 USD/kWh") == Price{0.12, "USD"}));
  CHECK((*parse_price("95EUR/MWh") == Price{0.095, "EUR"}));
  CHECK((*parse_price("-20 EUR/MWh") == Price{-0.02, "EUR"}));
  CHECK((*parse_price("160 KRW/kWh") == Price{160, "KRW"}));
  CHECK((*parse_price("0 USD/kWh") == Price{0, "USD"}));
  for (const char* text : {"", "0.12", "USD/kWh", "0.12 USD", "0.12 usd/kWh", "0.12 USD/kwh", "0.12 USD/Wh",
                           "0.12 $/kWh", "0.12  USD/kWh", "x USD/kWh", "1e3 USD/kWh", "0.12 USDX/kWh", "1..2 USD/kWh",
                           "0.12 USD/kWh ", "9999999 USD/kWh", "-9999999 USD/kWh", "/"}) {
    CAPTURE(text);
    const auto refused = parse_price(text);
    REQUIRE(refused.has_error());
    CHECK_FALSE(refused.error().help.empty());
  }
}

TEST_CASE("accepted and refused carbon intensities") {
  CHECK(*parse_carbon("400 g/kWh") == 400);
  CHECK(*parse_carbon("0.4 kg/kWh") == doctest::Approx(400));
  CHECK(*parse_carbon("400 kg/MWh") == 400);
  CHECK(*parse_carbon("1000 lb/MWh") == doctest::Approx(453.59237));
  CHECK(*parse_carbon("0 g/kWh") == 0);
  for (const char* text :
       {"", "400", "400 g", "-1 g/kWh", "400 t/kWh", "400 g/kwh", "20000 g/kWh", "g/kWh", "nan g/kWh"}) {
    CAPTURE(text);
    CHECK(parse_carbon(text).has_error());
  }
}
