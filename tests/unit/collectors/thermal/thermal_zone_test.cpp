#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "collectors/collector.hpp"
#include "tests/fakes/readings.hpp"
#include "tests/fakes/tree.hpp"

namespace perjoule {
extern const Entry thermal_zone_entry;
}

#define ZONE "sys/class/thermal/thermal_zone"

using namespace perjoule;

namespace {

using Lines = std::vector<std::string>;

std::vector<Probe> probes_of(const Roots& roots) {
  Result<std::vector<Probe>> probes = thermal_zone_entry.make({}, roots);
  REQUIRE(probes.has_value());
  return std::move(*probes);
}

Lines sample(Probe& probe) {
  Batch batch;
  REQUIRE(probe.collector->sample(batch).has_value());
  return lines(batch);
}

}  // namespace

TEST_CASE("zones with trip points, of the same type, and below zero") {
  const Tree tree({{ZONE "0/type", "acpitz\n"},
                   {ZONE "0/temp", "-44000\n"},
                   {ZONE "0/mode", "enabled\n"},
                   {ZONE "0/trip_point_0_type", "critical\n"},
                   {ZONE "0/trip_point_0_temp", "119000\n"},
                   {ZONE "0/trip_point_1_type", "hot\n"},
                   {ZONE "0/trip_point_1_temp", "99000\n"},
                   {ZONE "0/trip_point_2_type", "hot\n"},
                   {ZONE "0/trip_point_2_temp", "95000\n"},
                   {ZONE "0/trip_point_3_type", "passive\n"},
                   {ZONE "0/trip_point_3_temp", "80000\n"},
                   {ZONE "0/trip_point_4_type", "critical\n"},
                   {ZONE "0/trip_point_4_temp", "-274000\n"},
                   {ZONE "1/type", "acpitz\n"},
                   {ZONE "1/temp", "20000\n"},
                   {ZONE "10/type", "x86_pkg_temp\n"},
                   {ZONE "10/temp", "61000\n"},
                   {"sys/class/thermal/cooling_device0/type", "Processor\n"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  REQUIRE(probes.size() == 3);
  CHECK(probes[2].device == "thermal_zone10");
  const Lines expected = {
      "perjoule_temperature_celsius{chip=\"acpitz_0\",sensor=\"temp\",role=\"board\"} -44",
      "perjoule_temperature_limit_celsius{chip=\"acpitz_0\",sensor=\"temp\",role=\"board\",limit=\"crit\"} "
      "119",
      "perjoule_temperature_limit_celsius{chip=\"acpitz_0\",sensor=\"temp\",role=\"board\",limit=\"max\"} 95"};
  CHECK(sample(probes[0]) == expected);
  CHECK(sample(probes[1]) ==
        Lines{"perjoule_temperature_celsius{chip=\"acpitz_1\",sensor=\"temp\",role=\"board\"} 20"});
  CHECK(sample(probes[2]) ==
        Lines{"perjoule_temperature_celsius{chip=\"x86_pkg_temp\",sensor=\"temp\",role=\"cpu\"} 61"});
}

TEST_CASE("zones that are probed in another order after a reboot keep their series") {
  const auto shown = [](std::initializer_list<std::pair<std::string_view, std::string_view>> zones) {
    const Tree tree;
    int number = 0;
    for (const auto& [type, degrees] : zones) {
      tree.write(fmt::format(ZONE "{}/type", number), type);
      tree.write(fmt::format(ZONE "{}/temp", number++), degrees);
    }
    Lines all;
    for (Probe& probe : probes_of(tree.roots()))
      all.push_back(sample(probe).at(0));
    std::ranges::sort(all);
    return all;
  };
  CHECK(shown({{"acpitz", "1000"}, {"iwlwifi_1", "2000"}, {"x86_pkg_temp", "3000"}, {"acpitz", "4000"}}) ==
        shown({{"x86_pkg_temp", "3000"}, {"acpitz", "1000"}, {"acpitz", "4000"}, {"iwlwifi_1", "2000"}}));
}

TEST_CASE("a sensor that hwmon also shows has the role other here") {
  const Tree tree({{ZONE "0/type", "acpitz\n"},
                   {ZONE "0/temp", "20000\n"},
                   {ZONE "0/hwmon1/name", "acpitz\n"},
                   {ZONE "1/type", "x86_pkg_temp\n"},
                   {ZONE "1/temp", "61000\n"},
                   {"sys/class/hwmon/hwmon4/name", "coretemp\n"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  CHECK(sample(probes[0])[0].find("role=\"other\"") != std::string::npos);
  CHECK(sample(probes[1])[0].find("role=\"other\"") != std::string::npos);
}

TEST_CASE("a disabled zone is left out, absent when it is disabled later, and comes back; zero kelvin is refused") {
  const Tree tree({{ZONE "0/type", "soc\n"},
                   {ZONE "0/temp", "30000\n"},
                   {ZONE "0/mode", "enabled\n"},
                   {ZONE "1/type", "soc\n"},
                   {ZONE "1/temp", "30000\n"},
                   {ZONE "1/mode", "disabled\n"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  CHECK(probes.size() == 1);
  tree.write(ZONE "0/mode", "disabled\n");
  Batch batch;
  CHECK(probes[0].collector->sample(batch).error().fault == Fault::absent);
  tree.write(ZONE "0/mode", "enabled\n");
  CHECK(sample(probes[0]).size() == 1);
  for (const char* text : {"-273150", "-274000", "2147483647", "250001"}) {
    tree.write(ZONE "0/temp", text);
    batch.clear();
    CHECK(probes[0].collector->sample(batch).has_value());
    CHECK(batch.readings().empty());
    CHECK(batch.refused_count() == 1);
  }
  tree.write(ZONE "0/temp", "");
  batch.clear();
  CHECK(probes[0].collector->sample(batch).error().fault == Fault::transient);
  tree.remove("sys/class");
  batch.clear();
  CHECK(probes[0].collector->sample(batch).error().fault == Fault::absent);
}

TEST_CASE("make reads no value, and hosts without zones are absent") {
  const Tree bare;
  CHECK(thermal_zone_entry.make({}, bare.roots()).error().fault == Fault::absent);
  const Tree cooling({{"sys/class/thermal/cooling_device0/type", "Fan\n"}, {ZONE "0/type", "no temp\n"}});
  CHECK(thermal_zone_entry.make({}, cooling.roots()).error().fault == Fault::absent);
  const Tree tree;
  for (const char* file : {"temp", "mode", "type", "trip_point_0_type", "trip_point_0_temp"}) {
    tree.fifo(std::string(ZONE "0/") + file);
  }
  CHECK(probes_of(tree.roots()).size() == 1);
}

TEST_CASE("hostile bytes in every file") {
  std::mt19937_64 random(9);
  const Tree tree;
  for (int i = 0; i < 300; ++i) {
    tree.write(ZONE "0/type", hostile(random, "acpitz_gpu\n"));
    tree.write(ZONE "0/mode", hostile(random, "disabled\n", 8));
    tree.write(ZONE "0/temp", hostile(random, "0123456789-\n", 8));
    tree.write(ZONE "0/trip_point_0_type", "hot");
    tree.write(ZONE "0/trip_point_0_temp", hostile(random, "0123456789-\n", 8));
    std::vector<Probe> probes = probes_of(tree.roots());
    Batch batch;
    (void)probes[0].collector->sample(batch);
    for (const Reading& reading : batch.readings())
      CHECK((reading.value >= -100 && reading.value <= 250));
  }
}

TEST_CASE("the captured host") {
  Roots roots;
  roots.sysfs = PERJOULE_SOURCE_DIR "/../shared/data/host/procfs/sys";
  if (!std::filesystem::exists(roots.sysfs)) {
    MESSAGE("skipped: no capture here");
    return;
  }
  std::vector<Probe> probes = probes_of(roots);
  REQUIRE(probes.size() == 2);
  CHECK(sample(probes[0]) ==
        Lines{"perjoule_temperature_celsius{chip=\"bcm2835_thermal\",sensor=\"temp\",role=\"other\"} 49.925"});
  CHECK(sample(probes[1]) == Lines{"perjoule_temperature_celsius{chip=\"acpitz\",sensor=\"temp\",role=\"board\"} -44"});
}
