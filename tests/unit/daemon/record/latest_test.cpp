#include "daemon/record/latest.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <random>
#include <string>

#include "config/text.hpp"

using namespace perjoule;

namespace {

constexpr auto heat = gauge<Unit::celsius>("perjoule_test_celsius", "Heat of a \"test\".", "sensor");
constexpr auto energy =
    persisted_counter<Unit::joule>("perjoule_test_energy_joules_total", "Energy of a test.", "sensor");
constexpr auto about = gauge<Unit::none>("perjoule_test_info", "About a test; always 1.", "version");
constexpr auto plain = gauge<Unit::none>("perjoule_test", "A number of a test.");

constexpr auto hot = SeriesId{0};
constexpr auto cold = SeriesId{1};
constexpr auto joules_shown = SeriesId{2};
constexpr auto info_shown = SeriesId{3};

std::string number(double value) {
  std::string out;
  text::append_number(out, value);
  return out;
}

std::string text_of(const Latest& latest, std::int64_t now_ns, Format format = Format::text) {
  std::string out;
  latest.write(out, format, now_ns);
  return out;
}

void set(Latest& latest, SeriesId id, double value, std::int64_t at_ns, std::int64_t stale_after_ns = 100) {
  const Sample sample{id, value};
  latest.set(std::span(&sample, 1), at_ns, stale_after_ns);
}

void declare_all(Latest& latest) {
  latest.declare(hot, heat, R"(sensor="hot")");
  latest.declare(cold, heat, R"(sensor="cold")");
  latest.declare(joules_shown, energy, R"(sensor="hot")");
  latest.declare(info_shown, about, R"(version="1")");
}

}  // namespace

TEST_CASE("a series that is no longer written has ended, once; it may come again") {
  Latest latest;
  declare_all(latest);
  using Ids = std::vector<SeriesId>;
  CHECK(latest.take_ended(0).empty());
  set(latest, hot, 1, 0);
  set(latest, cold, 1, 50);
  CHECK(latest.take_ended(100).empty());
  CHECK(latest.take_ended(101) == Ids{hot});
  CHECK(latest.take_ended(120).empty());
  set(latest, hot, 2, 130);
  latest.remove(cold);
  CHECK(latest.take_ended(131) == Ids{cold});
  // A total that was read and not shown yet has nothing to end, except at the stop.
  const Sample total{joules_shown, 1};
  latest.read(std::span(&total, 1), 131);
  CHECK(latest.take_ended(131).empty());
  CHECK(latest.take_open() == Ids{hot, joules_shown});
  CHECK(latest.take_open().empty());
  CHECK(latest.take_ended(1'000'000).empty());
}

TEST_CASE("a number reads back as the same double") {
  std::mt19937_64 random(21);
  const auto round_trips = [](double value) {
    const std::string text = number(value);
    double back = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), back);
    return error == std::errc{} && end == text.data() + text.size() &&
           std::bit_cast<std::uint64_t>(back) == std::bit_cast<std::uint64_t>(value);
  };
  for (int round = 0; round < 200'000; ++round) {
    const auto value = std::bit_cast<double>(random());
    if (std::isfinite(value)) REQUIRE(round_trips(value));
    REQUIRE(round_trips(static_cast<double>(static_cast<std::int64_t>(random()) >> (random() % 60))));
  }
  const double edge = 9007199254740992.0;  // 2^53
  for (double value : {0.0, -0.0, edge - 1, edge, edge + 2, -edge, 9.0e15, -9.0e15, 8999999999999999.0, 1e300, 5e-324,
                       std::numeric_limits<double>::max(), std::numeric_limits<double>::min(), 0.1, 1.0 / 3}) {
    CHECK(round_trips(value));
  }
}

TEST_CASE("numbers are written as both formats require") {
  CHECK(number(std::nan("")) == "NaN");
  CHECK(number(-std::nan("")) == "NaN");
  CHECK(number(std::numeric_limits<double>::infinity()) == "+Inf");
  CHECK(number(-std::numeric_limits<double>::infinity()) == "-Inf");
  CHECK(number(0) == "0");
  CHECK(number(-0.0) == "-0");
  CHECK(number(45.5) == "45.5");
  CHECK(number(-3) == "-3");
  CHECK(number(1795424400) == "1795424400");
}

TEST_CASE("headers of both formats") {
  CHECK(family_header(heat, Format::text) ==
        "# HELP perjoule_test_celsius Heat of a \"test\".\n# TYPE perjoule_test_celsius gauge\n");
  CHECK(family_header(heat, Format::openmetrics) ==
        "# TYPE perjoule_test_celsius gauge\n# UNIT perjoule_test_celsius celsius\n"
        "# HELP perjoule_test_celsius Heat of a \\\"test\\\".\n");
  CHECK(family_header(energy, Format::text) ==
        "# HELP perjoule_test_energy_joules_total Energy of a test.\n"
        "# TYPE perjoule_test_energy_joules_total counter\n");
  CHECK(family_header(energy, Format::openmetrics) ==
        "# TYPE perjoule_test_energy_joules counter\n# UNIT perjoule_test_energy_joules joules\n"
        "# HELP perjoule_test_energy_joules Energy of a test.\n");
  CHECK(family_header(about, Format::text).find("# TYPE perjoule_test_info gauge\n") != std::string::npos);
  CHECK(family_header(about, Format::openmetrics) ==
        "# TYPE perjoule_test info\n# HELP perjoule_test About a test; always 1.\n");
  CHECK(family_header(plain, Format::openmetrics).find("UNIT") == std::string::npos);
}

TEST_CASE("families are sorted by name, series by their labels, with one header per family") {
  Latest latest;
  declare_all(latest);
  set(latest, info_shown, 1, 0);
  set(latest, cold, 2, 0);
  set(latest, joules_shown, 3.5, 0);
  set(latest, hot, 1, 0);
  const std::string expected = family_header(heat, Format::text) +
                               "perjoule_test_celsius{sensor=\"cold\"} 2\nperjoule_test_celsius{sensor=\"hot\"} 1\n" +
                               family_header(energy, Format::text) +
                               "perjoule_test_energy_joules_total{sensor=\"hot\"} 3.5\n" +
                               family_header(about, Format::text) + "perjoule_test_info{version=\"1\"} 1\n";
  CHECK(text_of(latest, 0) == expected);
  // Set again in another order: the output is the same.
  set(latest, hot, 1, 1);
  set(latest, cold, 2, 1);
  CHECK(text_of(latest, 1) == expected);
  CHECK(text_of(latest, 1, Format::openmetrics).find("perjoule_test_energy_joules_total{sensor=\"hot\"} 3.5\n") !=
        std::string::npos);

  std::string some;
  latest.write(some, Format::text, 1, [](const Metric& metric) { return metric.kind == Kind::counter; });
  CHECK(some == family_header(energy, Format::text) + "perjoule_test_energy_joules_total{sensor=\"hot\"} 3.5\n");

  std::string visited;
  latest.visit(1, [&](const Metric& metric, std::string_view labels, double value) {
    visited.append(metric.name).append("|").append(labels).append("|").append(number(value)).append("\n");
  });
  CHECK(visited ==
        "perjoule_test_celsius|sensor=\"cold\"|2\nperjoule_test_celsius|sensor=\"hot\"|1\n"
        "perjoule_test_energy_joules_total|sensor=\"hot\"|3.5\nperjoule_test_info|version=\"1\"|1\n");
}

TEST_CASE("a series without labels has no braces") {
  Latest latest;
  latest.declare(SeriesId{0}, plain, "");
  set(latest, SeriesId{0}, 7, 0);
  CHECK(text_of(latest, 0) == family_header(plain, Format::text) + "perjoule_test 7\n");
  std::string labels = "none";
  latest.visit(0, [&](const Metric&, std::string_view of, double) { labels = of; });
  CHECK(labels.empty());
}

TEST_CASE("staleness is judged at the time of reading") {
  Latest latest;
  declare_all(latest);
  CHECK(text_of(latest, 0).empty());
  CHECK(latest.fresh(0) == 0);
  set(latest, hot, 1, 1000, 100);
  set(latest, cold, 2, 1000, Latest::never_stale);
  CHECK(latest.value(hot, 1100) == 1.0);
  CHECK_FALSE(latest.value(hot, 1101));
  CHECK(latest.fresh(1100) == 2);
  CHECK(latest.fresh(1101) == 1);
  CHECK(latest.value(cold, std::numeric_limits<std::int64_t>::max()) == 2.0);
  // A family without a fresh series has no header either.
  latest.remove(cold);
  CHECK(text_of(latest, 1101).empty());
}

TEST_CASE("a series that is read keeps its value for 30 s at most; remove hides it until it is set again") {
  Latest latest;
  declare_all(latest);
  constexpr std::int64_t most = Latest::unstored_max_ns;
  set(latest, hot, 1, 0, 100);
  const Sample other{hot, 99};
  for (std::int64_t now = 50; now <= 150; now += 50)
    latest.read(std::span(&other, 1), now);
  CHECK(latest.value(hot, 250) == 1.0);
  CHECK_FALSE(latest.value(hot, 251));
  latest.read(std::span(&other, 1), most);
  CHECK(latest.value(hot, most) == 1.0);
  CHECK_FALSE(latest.value(hot, most + 1));
  set(latest, hot, 2, most - 10, 100);  // a commit lands, of an earlier reading
  CHECK(latest.value(hot, most + 100) == 2.0);
  std::vector<Latest::Newest> newest;
  latest.newest(std::span(&other.series, 1), most + 101, newest);
  CHECK(newest[0].steady_ns == most - 10);
  CHECK(newest[0].read_ns == most);
  latest.remove(hot);
  latest.read(std::span(&other, 1), 160);
  CHECK_FALSE(latest.value(hot, 160));
  // Reading a series that was never set shows nothing: an absent number is not 0.
  const Sample never{cold, 5};
  latest.read(std::span(&never, 1), 160);
  CHECK_FALSE(latest.value(cold, 160));
  set(latest, hot, 2, 170, 100);
  CHECK(latest.value(hot, 170) == 2.0);
  CHECK_FALSE(latest.value(hot, 271));
}
