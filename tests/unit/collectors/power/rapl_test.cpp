#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <string>
#include <vector>

#include "collectors/collector.hpp"
#include "tests/fakes/readings.hpp"
#include "tests/fakes/tree.hpp"

namespace perjoule {
extern const Entry rapl_entry;
}

#define POWERCAP "sys/class/powercap/"

using namespace perjoule;

namespace {

using Lines = std::vector<std::string>;

Roots fixture(std::string_view name, const std::filesystem::path& procfs = {}) {
  Roots roots;
  roots.procfs = procfs;
  roots.sysfs = std::filesystem::path(PERJOULE_SOURCE_DIR) / "tests/fixtures/sysfs" / name;
  return roots;
}

std::vector<Probe> probes_of(const Roots& roots) {
  Result<std::vector<Probe>> probes = rapl_entry.make({}, roots);
  REQUIRE(probes.has_value());
  return std::move(*probes);
}

Lines devices(const std::vector<Probe>& probes) {
  Lines names;
  for (const Probe& probe : probes)
    names.push_back(probe.device);
  return names;
}

Lines sample(Probe& probe) {
  Batch batch;
  REQUIRE(probe.collector->sample(batch).has_value());
  CHECK(batch.fault_count() == 0);
  return lines(batch);
}

}  // namespace

TEST_CASE("an Intel server: package, dram, psys, a disabled core zone; the mmio duplicates are left out") {
  std::vector<Probe> probes = probes_of(fixture("rapl_intel"));
  CHECK(devices(probes) == Lines{"package-0", "package-10", "psys-0"});
  CHECK(
      sample(probes[0]) ==
      Lines{
          "perjoule_cpu_core_energy_joules_total{package=\"0\"} meter 118821284256 wrap 262143328850 max 1000 core-0 "
          "counter rate perjoule_cpu_core_power_watts",
          "perjoule_cpu_package_energy_joules_total{package=\"0\",source=\"rapl\"} meter 240422366267 wrap "
          "262143328850 max 420 package-0 counter rate perjoule_cpu_package_power_watts",
          "perjoule_cpu_uncore_energy_joules_total{package=\"0\"} meter 5 wrap 262143328850 max 1000 uncore-0 counter "
          "rate perjoule_cpu_uncore_power_watts",
          "perjoule_dram_energy_joules_total{package=\"0\"} meter 77 wrap 65712999613 max 41.25 dram-0 counter rate "
          "perjoule_dram_power_watts"});
  // A limit of 4294967 W is not a real limit: the gate must stay low enough to catch a spike.
  CHECK(sample(probes[1]) ==
        Lines{"perjoule_cpu_package_energy_joules_total{package=\"10\",source=\"rapl\"} meter 9 wrap "
              "262143328850 max 5000 package-10 counter rate perjoule_cpu_package_power_watts"});
  CHECK(sample(probes[2]) ==
        Lines{"perjoule_psys_energy_joules_total{package=\"0\"} meter 4000000 wrap 4294967295000000 "
              "max 20000 psys-0 counter rate perjoule_psys_power_watts"});
}

TEST_CASE("AMD and Hygon: the dies show the counter of their socket, and core is one core") {
  for (const char* vendor : {"AuthenticAMD", "HygonGenuine"}) {
    const Tree tree({{"proc/cpuinfo", fmt::format("processor\t: 0\nvendor_id\t: {}\ncpu family\t: 25\n", vendor)}});
    std::vector<Probe> probes = probes_of(fixture("rapl_amd", tree.at("proc")));
    CHECK(devices(probes) == Lines{"package-0"});
    CHECK(sample(probes[0]) ==
          Lines{"perjoule_cpu_package_energy_joules_total{package=\"0\",source=\"rapl\"} meter 65532610987 wrap "
                "65532610987 max 1000 package-0 counter rate perjoule_cpu_package_power_watts"});
  }
}

TEST_CASE("Cascade Lake-AP: each die has a counter of its own") {
  const Tree tree({{"proc/cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\n"}});
  std::vector<Probe> probes = probes_of(fixture("rapl_amd", tree.at("proc")));
  CHECK(devices(probes) == Lines{"package-0-die-0", "package-0-die-1"});
  CHECK(
      sample(probes[0]) ==
      Lines{
          "perjoule_cpu_core_energy_joules_total{package=\"0-die-0\"} meter 11 wrap 65532610987 max 1000 core-0-die-0 "
          "counter rate perjoule_cpu_core_power_watts",
          "perjoule_cpu_package_energy_joules_total{package=\"0-die-0\",source=\"rapl\"} meter 65532610987 wrap "
          "65532610987 max 1000 package-0-die-0 counter rate perjoule_cpu_package_power_watts"});
}

TEST_CASE("mmio zones are used where intel-rapl has none") {
  const Tree tree(
      {{POWERCAP "intel-rapl-mmio:0/name", "package-0\n"}, {POWERCAP "intel-rapl-mmio:0/energy_uj", "5\n"}});
  CHECK(devices(probes_of(tree.roots())) == Lines{"package-0"});
}

TEST_CASE("zones are symlinks on a real host, and dangling ones are absent") {
  const Tree tree({{"sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/name", "package-0\n"},
                   {"sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/energy_uj", "5\n"}});
  const std::string real = "../../devices/virtual/powercap/intel-rapl/intel-rapl:0";
  tree.link(POWERCAP "intel-rapl:0", real);
  tree.link(POWERCAP "intel-rapl:1", "../../devices/virtual/powercap/masked");
  std::vector<Probe> probes = probes_of(tree.roots());
  CHECK(devices(probes) == Lines{"package-0"});
  // No range: a counter that does not wrap. The range is read once the file appears.
  CHECK(sample(probes[0])[0].find("meter 5 wrap 0 max 1000") != std::string::npos);
  tree.write("sys/devices/virtual/powercap/intel-rapl/intel-rapl:0/max_energy_range_uj", "100\n");
  CHECK(sample(probes[0])[0].find("meter 5 wrap 100 max 1000") != std::string::npos);
}

TEST_CASE("a second psys has its package's number") {
  const Tree tree({{POWERCAP "intel-rapl:2/name", "psys\n"},
                   {POWERCAP "intel-rapl:2/energy_uj", "1\n"},
                   {POWERCAP "intel-rapl:3/name", "psys-1\n"},
                   {POWERCAP "intel-rapl:3/energy_uj", "1\n"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  CHECK(devices(probes) == Lines{"psys-0", "psys-1"});
  CHECK(sample(probes[1])[0].find("{package=\"1\"}") != std::string::npos);
}

TEST_CASE("hosts without powercap, without zones, or with unknown names are absent") {
  const Tree bare;
  CHECK(rapl_entry.make({}, bare.roots()).error().fault == Fault::absent);
  const Tree odd({{POWERCAP "intel-rapl/enabled", "1\n"},
                  {POWERCAP "intel-rapl:0/name", "package\n"},
                  {POWERCAP "intel-rapl:0/energy_uj", "1\n"},
                  {POWERCAP "intel-rapl:1/name", "package-\n"},
                  {POWERCAP "intel-rapl:1/energy_uj", "1\n"},
                  {POWERCAP "intel-rapl:2/name", ""},
                  {POWERCAP "intel-rapl:2/energy_uj", "1\n"},
                  {POWERCAP "intel-rapl:3/name", "package-3\n"},
                  {POWERCAP "dtpm:0/name", "package-4\n"},
                  {POWERCAP "dtpm:0/energy_uj", "1\n"}});
  CHECK(rapl_entry.make({}, odd.roots()).error().fault == Fault::absent);
}

TEST_CASE("unreadable counters are denied, with the remedy; a readable one is still read") {
  const Tree tree({{POWERCAP "intel-rapl:0/name", "package-0\n"},
                   {POWERCAP "intel-rapl:0/energy_uj", "1\n"},
                   {POWERCAP "intel-rapl:1/name", "package-1\n"},
                   {POWERCAP "intel-rapl:1/energy_uj", "1\n"}});
  using std::filesystem::perms;
  std::filesystem::permissions(tree.root(), perms(0755));
  std::filesystem::permissions(tree.at(POWERCAP "intel-rapl:0/energy_uj"), perms::none);
  std::filesystem::permissions(tree.at(POWERCAP "intel-rapl:1/energy_uj"), perms::none);
  const bool root = ::geteuid() == 0;
  if (root) REQUIRE(::seteuid(65534) == 0);
  const Result<std::vector<Probe>> none = rapl_entry.make({}, tree.roots());
  if (root) REQUIRE(::seteuid(0) == 0);
  std::filesystem::permissions(tree.at(POWERCAP "intel-rapl:0/energy_uj"), perms(0444));
  if (root) REQUIRE(::seteuid(65534) == 0);
  Result<std::vector<Probe>> one = rapl_entry.make({}, tree.roots());
  Batch batch;
  const Result<void> closed = one ? one->at(1).collector->sample(batch) : Result<void>();
  if (root) REQUIRE(::seteuid(0) == 0);

  REQUIRE_FALSE(none.has_value());
  CHECK(none.error().fault == Fault::denied);
  CHECK(none.error().what.find("energy_uj: Permission denied") != std::string::npos);
  CHECK(none.error().remedy.find("setcap cap_dac_read_search+ep") != std::string::npos);
  REQUIRE(one.has_value());
  CHECK(devices(*one) == Lines{"package-0", "package-1"});
  CHECK(sample(one->at(0)).size() == 1);
  CHECK(closed.error().fault == Fault::denied);
  CHECK_FALSE(closed.error().remedy.empty());
}

TEST_CASE("make reads no value: a FIFO as counter becomes a probe like any other") {
  const Tree tree({{POWERCAP "intel-rapl:0/name", "package-0\n"}});
  tree.fifo(POWERCAP "intel-rapl:0/energy_uj");
  tree.fifo(POWERCAP "intel-rapl:1/name");
  CHECK(devices(probes_of(tree.roots())) == Lines{"package-0"});
}

TEST_CASE("a zone that fails does not affect the others; a package that is gone is absent") {
  const Tree tree({{POWERCAP "intel-rapl:0/name", "package-0\n"},
                   {POWERCAP "intel-rapl:0/energy_uj", "5\n"},
                   {POWERCAP "intel-rapl:0:0/name", "dram\n"},
                   {POWERCAP "intel-rapl:0:0/energy_uj", "6\n"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  CHECK(sample(probes[0]).size() == 2);
  tree.write(POWERCAP "intel-rapl:0:0/energy_uj", "junk\n");
  Batch batch;
  CHECK(probes[0].collector->sample(batch).has_value());
  CHECK(lines(batch).size() == 1);
  REQUIRE(batch.faults().size() == 1);
  CHECK(batch.faults()[0].item == "dram-0");
  // Emptied, then gone: an empty read closes the descriptor, as ENODEV does.
  tree.write(POWERCAP "intel-rapl:0/energy_uj", "");
  tree.write(POWERCAP "intel-rapl:0:0/energy_uj", "");
  batch.clear();
  CHECK(probes[0].collector->sample(batch).error().fault == Fault::transient);
  tree.remove("sys");
  batch.clear();
  CHECK(probes[0].collector->sample(batch).error().fault == Fault::absent);
}

TEST_CASE("hostile bytes in every file give a meter reading with a limit, or a fault") {
  std::mt19937_64 random(7);
  const Tree tree;
  for (int i = 0; i < 300; ++i) {
    tree.write(POWERCAP "intel-rapl:0/name", random() % 2 == 0 ? "package-0" : hostile(random, "package-0die"));
    for (const char* file :
         {"energy_uj", "max_energy_range_uj", "constraint_0_max_power_uw", "constraint_0_power_limit_uw"}) {
      tree.write(std::string(POWERCAP "intel-rapl:0/") + file, hostile(random, "0123456789-\n", 24));
    }
    Result<std::vector<Probe>> probes = rapl_entry.make({}, tree.roots());
    if (!probes) continue;
    for (Probe& probe : *probes) {
      Batch batch;
      const Result<void> read = probe.collector->sample(batch);
      CHECK(read.has_value() != batch.readings().empty());
      for (const Reading& reading : batch.readings()) {
        CHECK(reading.rate_max > 0);
        CHECK(reading.rate_max <= 5000);
      }
    }
  }
}

TEST_CASE("the captured host") {
  Roots roots;
  roots.sysfs = PERJOULE_SOURCE_DIR "/../shared/data/host/procfs/sys";
  roots.procfs = PERJOULE_SOURCE_DIR "/../shared/data/host/procfs/proc";
  if (!std::filesystem::exists(roots.sysfs)) {
    MESSAGE("skipped: no capture here");
    return;
  }
  std::vector<Probe> probes = probes_of(roots);
  CHECK(devices(probes) == Lines{"package-0", "package-10"});
  const Lines first = sample(probes[0]);
  REQUIRE(first.size() == 2);
  CHECK(first[0].find("perjoule_cpu_core_energy_joules_total{package=\"0\"} meter 118821284256") == 0);
  CHECK(first[1].find("meter 240422366267 wrap 262143328850 max 4090 package-0") != std::string::npos);
}
