#include "collectors/batch.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <string_view>

#include "tests/fakes/readings.hpp"

using namespace perjoule;

namespace {
constexpr auto temperature =
    gauge<Unit::celsius>("perjoule_test_celsius", "A temperature of a test.", "chip", "sensor");
constexpr auto energy = persisted_counter<Unit::joule>("perjoule_test_joules_total", "An energy of a test.", "zone");
constexpr auto power = gauge<Unit::watt>("perjoule_test_watts", "A power of a test.", "zone");
constexpr auto plain = gauge<Unit::none>("perjoule_test_things", "A count of a test.");
}  // namespace

TEST_CASE("value, meter and integral readings keep what was passed to them") {
  Batch batch;
  batch.add(temperature, celsius_from_milli(45500), "nvme", "Composite");
  batch.add(plain, count(3));
  CounterReading counter;
  counter.device = "package-0";
  counter.value = 7;
  counter.wrap = 100;
  counter.rate_max = 95;
  batch.meter(energy, &power, counter, "0");
  batch.integrate(energy, nullptr, watts(12.5), {"chip/power1", 20000, Origin::modelled}, "1");
  REQUIRE(batch.readings().size() == 4);
  CHECK(line(batch, batch.readings()[0]) == "perjoule_test_celsius{chip=\"nvme\",sensor=\"Composite\"} 45.5");
  CHECK(line(batch, batch.readings()[1]) == "perjoule_test_things 3");
  CHECK(line(batch, batch.readings()[2]) ==
        "perjoule_test_joules_total{zone=\"0\"} meter 7 wrap 100 max 95 package-0 counter rate perjoule_test_watts");
  CHECK(line(batch, batch.readings()[3]) ==
        "perjoule_test_joules_total{zone=\"1\"} integrate 12.5 max 20000 chip/power1 modelled");
}

TEST_CASE("a dwell is an integral of 1 while the state holds") {
  constexpr auto held =
      persisted_counter<Unit::second>("perjoule_test_held_seconds_total", "Time of a state.", "state");
  Batch batch;
  batch.dwell(held, true, "device", "hot");
  batch.dwell(held, false, "device", "cold");
  REQUIRE(batch.readings().size() == 2);
  CHECK(batch.readings()[0].form == Reading::Form::integral);
  CHECK(batch.readings()[0].value == 1);
  CHECK(batch.readings()[0].rate_max == 1);
  CHECK(batch.readings()[1].value == 0);
  CHECK(batch.label(batch.readings()[1], 0) == "cold");
  CHECK(batch.device(batch.readings()[1]) == "device");
}

TEST_CASE("a label index beyond the last gives an empty value, also where no NUL ends the values") {
  const std::string_view values{"0\0GPU-1\0", 8};
  CHECK(label_value(values, 0) == "0");
  CHECK(label_value(values, 1) == "GPU-1");
  CHECK(label_value(values, 2).empty());
  CHECK(label_value(values, 1000).empty());
  CHECK(label_value("", 0).empty());
  CHECK(label_value("open", 0).empty());
}

TEST_CASE("labels and devices of any bytes are kept unchanged up to a NUL") {
  std::mt19937_64 random(3);
  Batch batch;
  std::vector<std::pair<std::string, std::string>> given;
  for (int i = 0; i < 500; ++i) {
    given.emplace_back(hostile(random, "ab\"\\\n,", 40), hostile(random, "xyz", 40));
    batch.integrate(energy, &power, watts(1), {given.back().second, 1}, given.back().first);
    batch.add(temperature, celsius_from_milli(1), given.back().first, given.back().second);
  }
  for (std::size_t i = 0; i < given.size(); ++i) {
    const auto& [label, device] = given[i];
    const Reading& integral = batch.readings()[2 * i];
    const Reading& value = batch.readings()[2 * i + 1];
    CHECK(batch.label(integral, 0) == label.substr(0, label.find('\0')));
    CHECK(batch.device(integral) == device);
    CHECK(batch.label(value, 1) == device.substr(0, device.find('\0')));
    CHECK(batch.device(value) == "");
    CHECK(batch.labels(value).size() == batch.label(value, 0).size() + batch.label(value, 1).size() + 2);
  }
}

TEST_CASE("all faults and refusals are counted, and 64 are kept") {
  Batch batch;
  for (int i = 0; i < 50; ++i)
    batch.fault("a", {Fault::transient, "EIO"});
  for (int i = 0; i < 50; ++i)
    batch.refuse("b", "4294967295 W");
  CHECK(batch.fault_count() == 50);
  CHECK(batch.refused_count() == 50);
  CHECK(batch.faults().size() == 64);
  CHECK(batch.faults().back().item == "b");
}

TEST_CASE("a cleared batch is empty and is filled again without allocation") {
  Batch batch;
  for (int round = 0; round < 2; ++round) {
    batch.add(temperature, celsius_from_milli(20000), "chip", "temp1");
    batch.refuse("x", "why");
    const Reading* first = batch.readings().data();
    batch.clear();
    CHECK(batch.readings().empty());
    CHECK(batch.faults().empty());
    CHECK(batch.refused_count() == 0);
    batch.add(temperature, celsius_from_milli(21000), "other", "temp2");
    CHECK(batch.readings().data() == first);
    CHECK(line(batch, batch.readings()[0]) == "perjoule_test_celsius{chip=\"other\",sensor=\"temp2\"} 21");
    batch.clear();
  }
}
