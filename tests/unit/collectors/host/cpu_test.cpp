#include <doctest/doctest.h>
#include <fmt/format.h>

#include <filesystem>
#include <random>
#include <string>

#include "collectors/collector.hpp"
#include "collectors/host/cpu_text.hpp"
#include "tests/fakes/readings.hpp"
#include "tests/fakes/tree.hpp"

namespace perjoule {
extern const Entry cpu_entry;
}

using namespace perjoule;

namespace {

using Lines = std::vector<std::string>;

std::vector<Probe> probes_of(const Roots& roots) {
  Result<std::vector<Probe>> probes = cpu_entry.make({}, roots);
  REQUIRE(probes.has_value());
  return std::move(*probes);
}

Lines sample(Probe& probe) {
  Batch batch;
  REQUIRE(probe.collector->sample(batch).has_value());
  REQUIRE(batch.fault_count() == 0);
  return lines(batch);
}

}  // namespace

TEST_CASE("two packages: utilisation from the second call on, clocks and pressure from the first") {
  const Tree tree({{"proc/stat", "cpu  0 0 0 0\ncpu0 0 0 0 0\ncpu1 0 0 0 0\nintr 0\n"},
                   {"proc/pressure/cpu", "some avg10=0.10 avg60=2.00 avg300=3.85 total=1500000\n"},
                   {"proc/pressure/io",
                    "some avg10=0.10 avg60=2.00 avg300=3.85 total=15\n"
                    "full avg10=0.20 avg60=3.00 avg300=4.95 total=25\n"},
                   {"sys/devices/system/cpu/cpu0/topology/physical_package_id", "0\n"},
                   {"sys/devices/system/cpu/cpu1/topology/physical_package_id", "1\n"},
                   {"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "1200000\n"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  REQUIRE(probes.size() == 1);
  const Lines first = {"perjoule_cpu_clock_hertz{package=\"0\"} 1200000000",
                       "perjoule_pressure_full_seconds_total{resource=\"io\"} 2.5e-05",
                       "perjoule_pressure_some_seconds_total{resource=\"cpu\"} 1.5",
                       "perjoule_pressure_some_seconds_total{resource=\"io\"} 1.5e-05"};
  CHECK(sample(probes[0]) == first);
  tree.write("proc/stat", "cpu  0 0 0 0\ncpu0 25 0 0 75\ncpu1 100 0 0 0\nintr 0\n");
  const Lines second = sample(probes[0]);
  CHECK(contains(second, "perjoule_cpu_utilization_ratio{package=\"0\"} 0.25"));
  CHECK(contains(second, "perjoule_cpu_utilization_ratio{package=\"1\"} 1"));
}

TEST_CASE("without cpufreq the clock comes from /proc/cpuinfo, without both there is none") {
  const Tree tree(
      {{"proc/stat", "cpu0 0 0 0 0\ncpu1 0 0 0 0\nintr 0\n"},
       {"proc/cpuinfo", "processor\t: 0\ncpu MHz\t\t: 2000.000\n\nprocessor\t: 1\ncpu MHz\t\t: 3000.500\n"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  CHECK(sample(probes[0]) == Lines{"perjoule_cpu_clock_hertz{package=\"0\"} 2500250000"});
  tree.remove("proc/cpuinfo");
  CHECK(sample(probes[0]).empty());
}

TEST_CASE("an implausible or zero clock is left out, the other CPUs count") {
  const Tree tree({{"proc/stat", "cpu0 0 0 0 0\ncpu1 0 0 0 0\ncpu2 0 0 0 0\ncpu3 0 0 0 0\nintr 0\n"},
                   {"sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq", "<unknown>\n"},
                   {"sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "0\n"},
                   {"sys/devices/system/cpu/cpu2/cpufreq/scaling_cur_freq", "4294967295\n"},
                   {"sys/devices/system/cpu/cpu3/cpufreq/scaling_cur_freq", "3400000\n"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  CHECK(sample(probes[0]) == Lines{"perjoule_cpu_clock_hertz{package=\"0\"} 3400000000"});
}

TEST_CASE("make reads no value, and a host without /proc/stat has no cpu source") {
  const Tree tree;
  CHECK(cpu_entry.make({}, tree.roots()).error().fault == Fault::absent);
  tree.fifo("proc/stat");
  CHECK(cpu_entry.make({}, tree.roots()).value().size() == 1);
}

TEST_CASE("when /proc/stat vanishes the pressure stays; when everything is gone the source is absent") {
  const Tree tree({{"proc/stat", "cpu0 0 0 0 0\nintr 0\n"}, {"proc/pressure/memory", "some avg10=0 total=7\n"}});
  std::vector<Probe> probes = probes_of(tree.roots());
  CHECK(sample(probes[0]).size() == 1);
  tree.write("proc/stat", "");
  Batch batch;
  CHECK(probes[0].collector->sample(batch).has_value());
  CHECK(batch.fault_count() == 0);  // it is absent, which is no fault
  CHECK(lines(batch).size() == 1);
  tree.write("proc/pressure/memory", "");
  batch.clear();
  CHECK(probes[0].collector->sample(batch).error().fault == Fault::absent);
}

TEST_CASE("hostile cpuinfo and pressure give plausible numbers or none") {
  std::mt19937_64 random(6);
  for (int i = 0; i < 20'000; ++i) {
    const std::string info = "processor\t: 1\n" + hostile(random, "cpu MHz\t: 0123456789.e-nainf\n") +
                             "\ncpu MHz\t: " + hostile(random, "0123456789.e-nainf", 10) + "\n";
    for (const CpuClock& clock : parse_cpuinfo_clocks(info)) {
      REQUIRE(clock.hertz > 0);
      REQUIRE(clock.hertz <= 20e9);
    }
    const Pressure pressure = parse_pressure("some total=" + hostile(random, "0123456789 totalsome=\n-"));
    if (pressure.some_us) REQUIRE(*pressure.some_us >= 0);
    if (pressure.full_us) REQUIRE(*pressure.full_us >= 0);
  }
}

TEST_CASE("the captured host") {
  Roots roots;
  roots.procfs = PERJOULE_SOURCE_DIR "/../shared/data/host/procfs/proc";
  roots.sysfs = PERJOULE_SOURCE_DIR "/../shared/data/host/procfs/sys";
  if (!std::filesystem::exists(roots.procfs)) {
    MESSAGE("skipped: no capture here");
    return;
  }
  std::vector<Probe> probes = probes_of(roots);
  Batch batch;
  CHECK(probes[0].collector->sample(batch).has_value());
  CHECK(contains(lines(batch), "perjoule_pressure_full_seconds_total{resource=\"memory\"} 2.5e-05"));
}
