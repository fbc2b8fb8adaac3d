#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "collectors/collector.hpp"
#include "collectors/thermal/hwmon_address.hpp"
#include "collectors/thermal/hwmon_channel.hpp"
#include "collectors/thermal/hwmon_chip.hpp"
#include "tests/fakes/readings.hpp"
#include "tests/fakes/tree.hpp"

namespace perjoule {
extern const Entry hwmon_entry;
}

#define HWMON "sys/class/hwmon/hwmon"

using namespace perjoule;

namespace {

using Lines = std::vector<std::string>;

Roots fixture(std::string_view name) {
  Roots roots;
  roots.sysfs = std::filesystem::path(PERJOULE_SOURCE_DIR) / "tests/fixtures/sysfs" / name;
  return roots;
}

std::vector<Probe> probes_of(const Roots& roots, const Options& options = {}) {
  Result<std::vector<Probe>> probes = hwmon_entry.make(options, roots);
  REQUIRE(probes.has_value());
  return std::move(*probes);
}

Lines devices(const std::vector<Probe>& probes) {
  Lines names;
  for (const Probe& probe : probes)
    names.push_back(probe.device);
  return names;
}

// All probes' lines of one tick; nothing may fault or be refused.
Lines sample(std::vector<Probe>& probes) {
  Lines all;
  for (Probe& probe : probes) {
    Batch batch;
    REQUIRE(probe.collector->sample(batch).has_value());
    CHECK(batch.fault_count() == 0);
    CHECK(batch.refused_count() == 0);
    for (std::string& text : lines(batch))
      all.push_back(std::move(text));
  }
  std::sort(all.begin(), all.end());
  return all;
}

// Of a chip with one channel: its series, and the number of refused readings.
std::pair<Lines, std::uint64_t> one(std::string_view file, std::string_view text) {
  const Tree tree({{HWMON "0/name", "chip"}});
  tree.write(std::string(HWMON "0/") + std::string(file), text);
  std::vector<Probe> probes = probes_of(tree.roots());
  Batch batch;
  REQUIRE(probes.at(0).collector->sample(batch).has_value());
  return {lines(batch), batch.refused_count()};
}

}  // namespace

TEST_CASE("a server: chips are labelled with their devices' addresses, never with hwmon numbers") {
  std::vector<Probe> probes = probes_of(fixture("hwmon_server"));
  CHECK(devices(probes) ==
        Lines{"power_meter-ACPI000D:00", "nvme-0000:01:00.0", "nvme-0000:02:00.0", "pmbus-3-0058", "coretemp.0"});
  CHECK(probes[0].jitter);
  CHECK_FALSE(probes[1].jitter);
  CHECK(
      sample(probes) ==
      Lines{
          "perjoule_fan_speed_rpm{chip=\"pmbus-3-0058\",sensor=\"fan1\"} 9200",
          "perjoule_sensor_energy_joules_total{chip=\"pmbus-3-0058\",sensor=\"pin\",role=\"psu_in\"} integrate 480 max "
          "1100 pmbus-3-0058/pin integrated rate perjoule_sensor_power_watts",
          "perjoule_sensor_energy_joules_total{chip=\"pmbus-3-0058\",sensor=\"pout1\",role=\"psu_out\"} integrate 441 "
          "max 20000 pmbus-3-0058/pout1 integrated rate perjoule_sensor_power_watts",
          "perjoule_sensor_energy_joules_total{chip=\"power_meter-ACPI000D:00\",sensor=\"power1\",role=\"node\"} "
          "integrate 412 max 20000 power_meter-ACPI000D:00/power1 integrated rate perjoule_sensor_power_watts",
          "perjoule_sensor_power_limit_watts{chip=\"pmbus-3-0058\",sensor=\"pin\",role=\"psu_in\",limit=\"max\"} 1100",
          "perjoule_temperature_celsius{chip=\"coretemp.0\",sensor=\"Core 0\",role=\"cpu\"} 58",
          "perjoule_temperature_celsius{chip=\"coretemp.0\",sensor=\"Package id 0\",role=\"cpu\"} 61",
          "perjoule_temperature_celsius{chip=\"nvme-0000:01:00.0\",sensor=\"Composite\",role=\"nvme\"} 43.85",
          "perjoule_temperature_celsius{chip=\"nvme-0000:01:00.0\",sensor=\"Sensor 1\",role=\"nvme\"} 45.85",
          "perjoule_temperature_celsius{chip=\"nvme-0000:02:00.0\",sensor=\"Composite\",role=\"nvme\"} 40.85",
          "perjoule_temperature_celsius{chip=\"pmbus-3-0058\",sensor=\"temp1\",role=\"psu\"} 31",
          "perjoule_temperature_limit_celsius{chip=\"coretemp.0\",sensor=\"Package id 0\",role=\"cpu\",limit=\"crit\"} "
          "100",
          "perjoule_temperature_limit_celsius{chip=\"nvme-0000:01:00.0\",sensor=\"Composite\",role=\"nvme\",limit="
          "\"crit\"} 94.85",
          "perjoule_temperature_limit_celsius{chip=\"nvme-0000:01:00.0\",sensor=\"Composite\",role=\"nvme\",limit="
          "\"max\"} 84.85"});
}

TEST_CASE("Grace: four ACPI meters, none with the role node, no label twice") {
  std::vector<Probe> probes = probes_of(fixture("hwmon_grace"));
  CHECK(devices(probes) == Lines{"power_meter", "power_meter_2", "power_meter_3", "power_meter_4"});
  const Lines all = sample(probes);
  REQUIRE(all.size() == 4);
  CHECK(all[0].find("sensor=\"Module Power Socket 0\",role=\"other\"} integrate 100 ") != std::string::npos);
  CHECK(all[1].find("sensor=\"Grace Power Socket 0\",role=\"other\"} integrate 80 ") != std::string::npos);
  CHECK(all[2].find("sensor=\"CPU Power Socket 0\",role=\"cpu\"} integrate 60 ") != std::string::npos);
  CHECK(all[3].find("sensor=\"SysIO Power Socket 0\",role=\"other\"} integrate 40 ") != std::string::npos);
}

TEST_CASE("energy counters are preferred to integrals, and parts do not share the role of their whole") {
  std::vector<Probe> probes = probes_of(fixture("hwmon_energy"));
  for (const Probe& probe : probes)
    CHECK_FALSE(probe.jitter);
  CHECK(
      sample(probes) ==
      Lines{
          "perjoule_fan_speed_rpm{chip=\"amdgpu\",sensor=\"fan1\"} 0",
          "perjoule_sensor_energy_joules_total{chip=\"amd_energy\",sensor=\"Ecore000\",role=\"other\"} meter 3 wrap 0 "
          "max 20000 amd_energy/Ecore000 counter rate perjoule_sensor_power_watts",
          "perjoule_sensor_energy_joules_total{chip=\"amd_energy\",sensor=\"Esocket0\",role=\"cpu\"} meter 4 wrap 0 "
          "max 1000 amd_energy/Esocket0 counter rate perjoule_sensor_power_watts",
          "perjoule_sensor_energy_joules_total{chip=\"amdgpu\",sensor=\"PPT\",role=\"gpu\"} meter 12 wrap 0 max "
          "290 amdgpu/PPT counter",
          "perjoule_sensor_energy_joules_total{chip=\"i915\",sensor=\"power1\",role=\"gpu\"} meter 25637161804 wrap "
          "0 max 55 i915/power1 counter rate perjoule_sensor_power_watts",
          "perjoule_sensor_energy_joules_total{chip=\"xe\",sensor=\"card\",role=\"gpu\"} meter 900 wrap 0 max 2000 "
          "xe/card counter rate perjoule_sensor_power_watts",
          "perjoule_sensor_energy_joules_total{chip=\"xe\",sensor=\"pkg\",role=\"other\"} meter 700 wrap 0 max 20000 "
          "xe/pkg counter rate perjoule_sensor_power_watts",
          "perjoule_sensor_power_limit_watts{chip=\"amdgpu\",sensor=\"PPT\",role=\"gpu\",limit=\"cap\"} 290",
          "perjoule_sensor_power_limit_watts{chip=\"i915\",sensor=\"power1\",role=\"gpu\",limit=\"max\"} 55",
          "perjoule_sensor_power_watts{chip=\"amdgpu\",sensor=\"PPT\",role=\"gpu\"} 68"});
}

TEST_CASE("a card counter that never counted leaves the role to the package's") {
  const Tree tree({{HWMON "0/name", "xe"},
                   {HWMON "0/energy1_label", "card"},
                   {HWMON "0/energy1_input", "0"},
                   {HWMON "0/energy2_label", "pkg"},
                   {HWMON "0/energy2_input", "700"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  const Lines lines = sample(probes);
  REQUIRE(lines.size() == 2);
  CHECK(lines[0].find("sensor=\"card\",role=\"other\"") != std::string::npos);
  CHECK(lines[1].find("sensor=\"pkg\",role=\"gpu\"") != std::string::npos);
}

TEST_CASE("without class/hwmon the chips are found below devices, within bounds") {
  const Tree tree({{"sys/devices/pci0000:00/0000:01:00.0/nvme/nvme0/hwmon3/name", "nvme"},
                   {"sys/devices/pci0000:00/0000:01:00.0/nvme/nvme0/hwmon3/temp1_input", "40000"},
                   {"sys/devices/a/b/c/d/e/f/g/h/i/j/k/hwmon1/temp1_input", "1000"},
                   {"sys/devices/a/b/c/d/e/f/g/h/i/j/k/l/m/hwmon2/temp1_input", "2000"}});
  tree.link("sys/devices/a/loop", "../..");
  const std::vector<Chip> chips = find_chips(tree.at("sys"));
  REQUIRE(chips.size() == 2);
  CHECK(chips[0].label == "unnamed");
  CHECK(chips[1].label == "nvme-0000:01:00.0");
  for (int i = 0; i < 20'100; ++i)
    tree.write(fmt::format("sys/devices/0/{}", i), "");
  CHECK(find_chips(tree.at("sys")).size() < 3);
}

TEST_CASE("sensors with equal labels stay distinct, and so do chips") {
  const Tree tree({{HWMON "0/name", "x"},
                   {HWMON "0/temp1_label", "core"},
                   {HWMON "0/temp1_input", "1000"},
                   {HWMON "0/temp2_label", "core"},
                   {HWMON "0/temp2_input", "2000"},
                   {HWMON "0/temp10_label", ""},
                   {HWMON "0/temp10_input", "3000"},
                   {HWMON "2/name", "x"},
                   {HWMON "2/temp1_input", "4000"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  CHECK(sample(probes) == Lines{"perjoule_temperature_celsius{chip=\"x\",sensor=\"core temp2\",role=\"other\"} 2",
                                "perjoule_temperature_celsius{chip=\"x\",sensor=\"core\",role=\"other\"} 1",
                                "perjoule_temperature_celsius{chip=\"x\",sensor=\"temp10\",role=\"other\"} 3",
                                "perjoule_temperature_celsius{chip=\"x_2\",sensor=\"temp1\",role=\"other\"} 4"});
}

TEST_CASE("a channel that is flagged faulty or off is absent, and comes back") {
  const Tree tree({{HWMON "0/name", "x"},
                   {HWMON "0/temp1_input", "1000"},
                   {HWMON "0/temp1_fault", "1"},
                   {HWMON "0/temp2_input", "2000"},
                   {HWMON "0/temp2_enable", "0"},
                   {HWMON "0/fan1_input", "3000"},
                   {HWMON "0/fan1_fault", "1"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  CHECK(sample(probes).empty());
  tree.write(HWMON "0/temp1_fault", "0");
  tree.write(HWMON "0/temp2_enable", "1");
  tree.write(HWMON "0/fan1_fault", "0");
  CHECK(sample(probes).size() == 3);
}

TEST_CASE("implausible readings are refused and counted") {
  const char* refused[][2] = {{"temp1_input", "250001"},      {"temp1_input", "-100001"},
                              {"temp1_input", "-273150"},     {"temp1_input", "2147483647"},
                              {"temp1_input", "-2147483648"}, {"power1_input", "4294967295000000"},
                              {"power1_input", "4294967295"}, {"power1_input", "-1"},
                              {"power1_input", "2147483647"}, {"power1_average", "20000000001"},
                              {"fan1_input", "200001"},       {"fan1_input", "-1"},
                              {"fan1_input", "2147483647"},   {"temp1_input", "9223372036854775807"}};
  for (const auto& row : refused) {
    const std::string_view file = row[0];
    const std::string_view text = row[1];
    CAPTURE(file);
    CAPTURE(text);
    const auto [shown, count] = one(file, text);
    CHECK(shown.empty());
    CHECK(count == 1);
  }
  for (const auto& row : {std::pair{"temp1_input", "-44000"},
                          {"temp1_input", "0"},
                          {"power1_input", "0"},
                          {"fan1_input", "0"},
                          {"power1_input", "20000000000"},
                          {"temp1_input", "250000"}}) {
    CAPTURE(row.second);
    CHECK(one(row.first, row.second).first.size() == 1);
  }
}

TEST_CASE("unset limits are not shown, and are not counted as refusals") {
  const Tree tree({{HWMON "0/name", "nvme"},
                   {HWMON "0/temp1_input", "40000"},
                   {HWMON "0/temp1_max", "65261850"},
                   {HWMON "0/temp1_crit", "-273150"},
                   {HWMON "0/temp1_emergency", "x"},
                   {HWMON "0/power1_input", "1"},
                   {HWMON "0/power1_cap", "0"},
                   {HWMON "0/power1_max", "4294967295000000"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  CHECK(sample(probes).size() == 2);
}

TEST_CASE("limits are read at the first sample and at every sixtieth after it, and shown at each") {
  const Tree tree({{HWMON "0/name", "x"}, {HWMON "0/temp1_input", "40000"}, {HWMON "0/temp1_max", "90000"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  CHECK(sample(probes)[1].ends_with("limit=\"max\"} 90"));
  tree.write(HWMON "0/temp1_max", "80000");
  for (int i = 1; i < 60; ++i)
    CHECK(sample(probes)[1].ends_with("limit=\"max\"} 90"));
  CHECK(sample(probes)[1].ends_with("limit=\"max\"} 80"));
}

TEST_CASE("a channel that fails does not affect the others; a chip that is gone is absent") {
  const Tree tree({{HWMON "0/name", "x"}, {HWMON "0/temp1_input", "40000"}, {HWMON "0/temp2_input", "junk"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  Batch batch;
  CHECK(probes[0].collector->sample(batch).has_value());
  CHECK(batch.readings().size() == 1);
  REQUIRE(batch.faults().size() == 1);
  CHECK(batch.faults()[0].item == "temp2");
  CHECK(batch.faults()[0].error.what.find("temp2_input: \"junk\" is not a whole number") != std::string::npos);
  tree.write(HWMON "0/temp1_input", "");
  tree.write(HWMON "0/temp2_input", "");
  batch.clear();
  CHECK(probes[0].collector->sample(batch).error().fault == Fault::transient);
  tree.remove("sys/class/hwmon/hwmon0");
  batch.clear();
  CHECK(probes[0].collector->sample(batch).error().fault == Fault::absent);
}

TEST_CASE("options: chips excluded by name or label, and another power_max") {
  const Tree tree({{HWMON "0/name", "a"},
                   {HWMON "0/temp1_input", "1000"},
                   {HWMON "1/name", "b"},
                   {HWMON "1/power1_input", "25000000000"},
                   {HWMON "2/name", "b"},
                   {HWMON "2/temp1_input", "1000"}});
  Options options;
  options.set("exclude", std::vector<std::string>{"a", "b_2"});
  options.set("power_max", 30000.0);
  std::vector<Probe> probes = probes_of(tree.roots(), options);
  CHECK(devices(probes) == Lines{"b"});
  CHECK(sample(probes)[0].find("integrate 25000 max 30000") != std::string::npos);
  options.set("exclude", std::vector<std::string>{"a", "b"});
  CHECK(hwmon_entry.make(options, tree.roots()).error().fault == Fault::absent);
}

TEST_CASE("make reads no value: FIFOs as inputs, faults and limits become channels, a FIFO as name is ignored") {
  const Tree tree({{"sys/class/hwmon/x", ""}});
  for (const char* file : {"temp1_input", "temp1_fault", "temp1_max", "temp1_label", "power1_input", "name"}) {
    tree.fifo(std::string(HWMON "0/") + file);
  }
  CHECK(devices(probes_of(tree.roots())) == Lines{"unnamed"});
}

TEST_CASE("hosts without chips are absent") {
  const Tree bare;
  CHECK(hwmon_entry.make({}, bare.roots()).error().fault == Fault::absent);
  const Tree empty(
      {{HWMON "0/name", "x"}, {HWMON "0/in0_input", "12000"}, {"sys/class/hwmon/hwmonx/temp1_input", "1"}});
  CHECK(hwmon_entry.make({}, empty.roots()).error().fault == Fault::absent);
}

TEST_CASE("roles of temperatures") {
  const char* rows[][3] = {{"coretemp", "Core 0", "cpu"},   {"k10temp", "Tctl", "cpu"},
                           {"cpu_thermal", "", "cpu"},      {"drivetemp", "", "nvme"},
                           {"mlx5", "asic", "nic"},         {"r8169_net", "", "nic"},
                           {"ibm-cffps2", "", "psu"},       {"nct6775", "SYSTIN", "board"},
                           {"lm75", "Inlet Temp", "inlet"}, {"tmp421", "Exhaust", "outlet"},
                           {"dps650", "ambient", "inlet"},  {"amdgpu", "edge", "gpu"},
                           {"xdpe12284", "", "board"},      {"", "", "other"},
                           {"whatever", "", "other"}};
  for (const auto& row : rows) {
    const std::string_view chip = row[0];
    const std::string_view sensor = row[1];
    const std::string_view role = row[2];
    CAPTURE(chip);
    CHECK(temperature_role(chip, sensor) == role);
  }
}

TEST_CASE("roles of powers: a regulator's input does not get a role of the node's supply") {
  const char* rows[][3] = {{"power_meter", "", "node"},   {"ibm-cffps", "pin", "psu_in"},
                           {"vendor", "pin", "psu_in"},   {"dps650", "pout1", "psu_out"},
                           {"xdpe12284", "pin", "other"}, {"tps53679", "pout1", "other"},
                           {"ltc4287", "pin", "other"},   {"zenpower", "SVI2_P_Core", "cpu"},
                           {"amdgpu", "PPT", "gpu"},      {"i915_gt0", "", "other"},
                           {"nct6775", "", "other"}};
  for (const auto& row : rows) {
    const std::string_view chip = row[0];
    const std::string_view sensor = row[1];
    const std::string_view role = row[2];
    CAPTURE(chip);
    CHECK(power_role(chip, sensor) == role);
  }
}

TEST_CASE("bus addresses") {
  CHECK(bus_address("devices/pci0000:00/0000:00:02.1/0000:01:00.0/nvme/nvme0/hwmon3") == "0000:01:00.0");
  CHECK(bus_address("devices/pci0000:00/ata1/host0/target0:0:0/0:0:0:0/hwmon/hwmon2") == "0:0:0:0");
  CHECK(bus_address("devices/virtual/thermal/thermal_zone0/hwmon1") == "");
  CHECK(bus_address("") == "");
  CHECK(chip_label("nct6775", "nct6775.656") == "nct6775.656");
}

TEST_CASE("attributes") {
  const auto attribute = parse_attribute("temp12_crit_alarm");
  REQUIRE(attribute.has_value());
  CHECK(attribute->number == 12);
  CHECK(attribute->what == "crit_alarm");
  for (const char* text : {"temp_input", "temp1", "temp1x_input", "temp-1_input", "temp+1_input", "in1_input", "_", "",
                           "fan99999_input", "power18446744073709551617_input"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_attribute(text).has_value());
  }
}

TEST_CASE("for any names, labels and values no series appears twice and none is implausible") {
  std::mt19937_64 random(8);
  for (int round = 0; round < 40; ++round) {
    const Tree tree;
    for (int chip = 0; chip < 3; ++chip) {
      const std::string directory = fmt::format(HWMON "{}/", chip);
      tree.write(directory + "name", random() % 2 == 0 ? "x" : hostile(random, "xy_2\n", 6));
      for (const char* kind : {"temp", "fan", "power", "energy"}) {
        for (int n = 0; n < 4; ++n) {
          const std::string stem = fmt::format("{}{}{}_", directory, kind, n);
          tree.write(stem + "input",
                     random() % 2 == 0 ? std::to_string(random() % 100'000) : hostile(random, "0123456789-", 20));
          tree.write(stem + "label", random() % 2 == 0 ? "a" : hostile(random, "a power1_\n", 10));
          tree.write(stem + "max", hostile(random, "0123456789-", 20));
        }
      }
    }
    std::set<std::string> seen;
    Result<std::vector<Probe>> probes = hwmon_entry.make({}, tree.roots());
    REQUIRE(probes.has_value());
    for (Probe& probe : *probes) {
      Batch batch;
      (void)probe.collector->sample(batch);
      for (const Reading& reading : batch.readings()) {
        REQUIRE(seen.insert(series(batch, reading)).second);
        if (reading.form != Reading::Form::meter) REQUIRE((reading.value >= -100 && reading.value <= 200'000));
      }
    }
  }
}

TEST_CASE("the captured host has its NVMe drive below devices only") {
  Roots roots;
  roots.sysfs = PERJOULE_SOURCE_DIR "/../shared/data/host/procfs/sys";
  if (!std::filesystem::exists(roots.sysfs)) {
    MESSAGE("skipped: no capture here");
    return;
  }
  std::vector<Probe> probes = probes_of(roots);
  CHECK(devices(probes) == Lines{"nvme-0000:01:00.0"});
  const Lines all = sample(probes);
  CHECK(all.size() == 6);
  CHECK(contains(all,
                 "perjoule_temperature_celsius{chip=\"nvme-0000:01:00.0\",sensor=\"Sensor 8\",role=\"nvme\"} 43.85"));
}

TEST_CASE(
    "what a register of 8, 16 or 32 bits shows for nothing is refused, and limits that were never set are absent") {
  const Tree tree({{HWMON "0/name", "nct6795\n"},
                   {HWMON "0/temp1_input", "34000\n"},
                   {HWMON "0/temp1_max", "0\n"},
                   {HWMON "0/temp1_crit", "-273150\n"},
                   {HWMON "0/temp2_input", "127000\n"},
                   {HWMON "0/temp3_input", "-128000\n"},
                   {HWMON "0/temp4_input", "255000\n"},
                   {HWMON "0/temp5_input", "0\n"},
                   {HWMON "0/temp5_label", "PCH\n"},
                   {HWMON "0/fan1_input", "65535\n"},
                   {HWMON "0/fan2_input", "895\n"},
                   {HWMON "0/fan3_input", "2147483647\n"},
                   {HWMON "0/temp6_input", "0\n"},
                   {HWMON "0/temp6_label", "Inlet\n"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  Batch batch;
  REQUIRE(probes[0].collector->sample(batch).has_value());
  CHECK(batch.refused_count() == 6);
  CHECK(batch.fault_count() == 0);
  CHECK(lines(batch) == Lines{"perjoule_fan_speed_rpm{chip=\"nct6795\",sensor=\"fan2\"} 895",
                              "perjoule_temperature_celsius{chip=\"nct6795\",sensor=\"Inlet\",role=\"inlet\"} 0",
                              "perjoule_temperature_celsius{chip=\"nct6795\",sensor=\"temp1\",role=\"board\"} 34"});
}

TEST_CASE("where a chip gives a sample and a mean of its power, the mean is integrated") {
  const Tree tree({{HWMON "0/name", "amdgpu\n"},
                   {HWMON "0/power1_input", "250000000\n"},
                   {HWMON "0/power1_average", "180000000\n"},
                   {HWMON "0/power1_label", "PPT\n"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  const Lines shown = sample(probes);
  REQUIRE(shown.size() == 1);
  CHECK(shown[0].find("integrate 180 ") != std::string::npos);
}
