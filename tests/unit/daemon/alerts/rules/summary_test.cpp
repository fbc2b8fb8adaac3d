#include "daemon/alerts/rules/summary.hpp"

#include <doctest/doctest.h>

#include <cmath>

namespace perjoule::alerts {
namespace {

std::string filled(std::string_view text, double value) {
  return fill_summary(text, {{"device", ""}, {"gpu", "6"}, {"reason", "hw_thermal"}}, value);
}

TEST_CASE("a summary is read by people: percent, time and whole numbers") {
  CHECK(filled("GPU {gpu} was thermally throttled {value:percent} of the last 5 min ({reason}).", 1) ==
        "GPU 6 was thermally throttled 100 % of the last 5 min (hw_thermal).");
  CHECK(filled("{value:percent}", 0.342) == "34 %");
  CHECK(filled("{value:percent}", 0.0142) == "1.4 %");
  CHECK(filled("{value:percent}", 0.0996) == "10 %");
  CHECK(filled("{value:percent}", 0.0004) == "0 %");
  CHECK(filled("{value:percent}", -0.25) == "-25 %");
  CHECK(filled("{value:duration}", 0) == "0 s");
  CHECK(filled("{value:duration}", 59.4) == "59 s");
  CHECK(filled("{value:duration}", 59.6) == "1 min");
  CHECK(filled("{value:duration}", 200) == "3 min 20 s");
  CHECK(filled("{value:duration}", 7'512) == "2 h 5 min");
  CHECK(filled("{value:duration}", 4 * 86'400 + 3 * 3'600 + 59) == "4 d 3 h");
  CHECK(filled("{value:duration}", -90) == "-1 min 30 s");
  CHECK(filled("{value:integer} GPUs", 8) == "8 GPUs");
  CHECK(filled("{value:integer}", 2'000'001) == "2000001");
  CHECK(filled("{value} W", 12'345.6) == "12346 W");
  CHECK(filled("{value} W", 612.34) == "612.3 W");
  CHECK(filled("{value}", 0.00012345) == "0.0001234");
}

TEST_CASE("an empty label leaves no gap, and text without an end stays as it is") {
  CHECK(filled("A read from {gpu} {device} hangs", 0) == "A read from 6 hangs");
  CHECK(filled("{device} hangs", 0) == " hangs");
  CHECK(filled("open {gpu", 0) == "open {gpu");
  CHECK(filled("", 0).empty());
}

TEST_CASE("no value has no form") {
  for (const double value : {std::nan(""), HUGE_VAL, -HUGE_VAL, 1e300, -1e300, 1e-300}) {
    for (const std::string_view name : value_placeholders) {
      CAPTURE(name);
      CAPTURE(value);
      const std::string text = filled("{" + std::string(name) + "}", value);
      CHECK_FALSE(text.empty());
      CHECK(text.size() < 330);
    }
  }
}

TEST_CASE("the template of Prometheus has the same labels and its own numbers") {
  CHECK(summary_template("GPU {gpu}: {value:percent}, {value:duration}, {value:integer}, {value}") ==
        "GPU {{ $labels.gpu }}: {{ $value | humanizePercentage }}, {{ $value | humanizeDuration }}, "
        "{{ $value | printf \"%.0f\" }}, {{ $value | printf \"%.4g\" }}");
}

}  // namespace
}  // namespace perjoule::alerts
