#include "collectors/cpu_times.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <random>
#include <string>

#include "tests/fakes/readings.hpp"
#include "tests/fakes/tree.hpp"

using namespace perjoule;

namespace {

CpuTimes cpu(unsigned number, std::uint64_t busy, std::uint64_t idle, std::uint64_t iowait = 0) {
  return {number, {busy, 0, 0, idle, iowait, 0, 0, 0}};
}

std::string stat_of(unsigned cpus, std::uint64_t busy, std::uint64_t idle, std::size_t interrupt_bytes = 100) {
  std::string text = "cpu  1 2 3 4 5 6 7 8 9 10\n";
  for (unsigned i = 0; i < cpus; ++i)
    text += fmt::format("cpu{} {} 0 0 {} 0 0 0 0 0 0\n", i, busy, idle);
  return text + "intr " + std::string(interrupt_bytes, '0') + "\nctxt 12\n";
}

}  // namespace

TEST_CASE("guest time is not counted twice, steal is busy, iowait is idle") {
  const auto cpus = parse_cpu_times("cpu  9 9 9 9\ncpu3 100 20 30 1000 50 1 2 7 60 10\nintr 1\ncpu4 1 1 1 1\n");
  REQUIRE(cpus.size() == 1);
  CHECK(cpus[0].cpu == 3);
  const std::vector<CpuTimes> before = {{3, {}}};
  CHECK(busy_ratios(before, cpus, {}).packages.at({}) == 160.0 / 1210);
  CHECK(busy_ratios(before, cpus, {}, Steal::idle).packages.at({}) == 153.0 / 1210);
}

TEST_CASE("lines that are truncated, malformed or out of order are left out") {
  CHECK(parse_cpu_times("cpu0 1 2 3 4\ncpu1 1 2 3 4").size() == 1);
  CHECK(parse_cpu_times("cpu0 1 2 3\ncpu1 1 2 3 x\ncpu2 1 2 3 -4\ncpu3 1 2 3 4 5 6 7 8 9 10 11 12\n").size() == 1);
  CHECK(parse_cpu_times("cpu1 1 2 3 4\ncpu1 1 2 3 4\ncpu0 1 2 3 4\ncpux 1 2 3 4\ncpu 1 1 2 3 4\n").size() == 1);
  CHECK(parse_cpu_times("cpu99999999999 1 2 3 4\ncpu0 99999999999999999999 2 3 4\n").empty());
  CHECK(parse_cpu_times("").empty());
}

TEST_CASE("ratios per package, and a package that did not tick is absent") {
  const Topology topology = {{0, {0, {}}}, {1, {0, {}}}, {2, {1, {}}}, {3, {2, {}}}};
  const std::vector<CpuTimes> before = {cpu(0, 0, 0), cpu(1, 0, 0), cpu(2, 5, 5), cpu(3, 9, 9)};
  const std::vector<CpuTimes> after = {cpu(0, 50, 50), cpu(1, 0, 100), cpu(2, 15, 5), cpu(3, 9, 9)};
  const std::map<CpuPackage, double> expected = {{{0, {}}, 0.25}, {{1, {}}, 1.0}};
  CHECK(busy_ratios(before, after, topology).packages == expected);
  CHECK(busy_ratios({}, after, topology).packages.empty());
}

TEST_CASE("iowait that decreases is not negative idle time") {
  const std::vector<CpuTimes> before = {cpu(0, 100, 1000, 500)};
  const std::vector<CpuTimes> after = {cpu(0, 150, 1050, 200)};
  CHECK(busy_ratios(before, after, {}).packages.at({}) == 0.5);
}

TEST_CASE("a state whose ticks fell counts as none, the others count, and it is named") {
  const std::vector<CpuTimes> before = {{3, {100, 0, 100, 1000, 0, 0, 0, 900}}};
  const std::vector<CpuTimes> after = {{3, {130, 0, 110, 1060, 0, 0, 0, 200}}};
  const BusyRatios ratios = busy_ratios(before, after, {});
  CHECK(ratios.packages.at({}) == 0.4);
  CHECK(ratios.fell == "steal of cpu3 fell from 900 to 200");
  CHECK(busy_ratios(before, before, {}).fell.empty());
}

TEST_CASE("where a package has several dies its CPUs are of their die") {
  Tree tree;
  for (unsigned cpu = 0; cpu < 8; ++cpu) {
    const std::string directory = fmt::format("sys/devices/system/cpu/cpu{}/topology/", cpu);
    tree.write(directory + "physical_package_id", fmt::to_string(cpu / 4));
    tree.write(directory + "die_id", fmt::to_string(cpu / 2 % 2));
  }
  CHECK(read_topology(tree.at("sys"), false).at(7) == CpuPackage{1, {}});
  CHECK(read_topology(tree.at("sys"), true).at(7) == CpuPackage{1, 1});
  CHECK(label(package_of(read_topology(tree.at("sys"), true), 2)) == "0-die-1");
  for (unsigned cpu = 0; cpu < 8; ++cpu)
    tree.write(fmt::format("sys/devices/system/cpu/cpu{}/topology/die_id", cpu), "0");
  CHECK(read_topology(tree.at("sys"), true).at(7) == CpuPackage{1, {}});
}

TEST_CASE("a CPU that was offline counts from its second sample on") {
  const Topology topology;
  const std::vector<CpuTimes> both = {cpu(0, 10, 10), cpu(1, 900, 100)};
  const std::vector<CpuTimes> one = {cpu(0, 20, 20)};
  const std::vector<CpuTimes> again = {cpu(0, 30, 30), cpu(1, 0, 5)};
  CHECK(busy_ratios(both, one, topology).packages.at({}) == 0.5);
  CHECK(busy_ratios(one, again, topology).packages.at({}) == 0.5);
  // Its counters may have restarted.
  CHECK(busy_ratios(both, again, topology).packages.at({}) == 0.5);
}

TEST_CASE("for any snapshots a ratio is from 0 to 1") {
  std::mt19937_64 random(5);
  std::vector<CpuTimes> before;
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (unsigned n = 0; n < 4; ++n) {
      text += fmt::format("cpu{} {} {} {} {} {}\n", n, random() >> (random() % 64), random() >> (random() % 64),
                          random() >> (random() % 64), random() >> (random() % 64), random() >> (random() % 64));
    }
    std::vector<CpuTimes> after = parse_cpu_times(text + hostile(random, "cpu0123456789 \n"));
    for (const auto& [package, ratio] : busy_ratios(before, after, {{1, {1, {}}}}).packages) {
      REQUIRE(ratio >= 0.0);
      REQUIRE(ratio <= 1.0);
    }
    before = std::move(after);
    CHECK(parse_cpu_times(hostile(random, "cpu0123456789 \n", 200)).size() <= 8192);
  }
}

TEST_CASE("topology: offline CPUs are left out, -1 is package 0, no files give an empty one") {
  const Tree tree({{"sys/devices/system/cpu/cpu0/topology/physical_package_id", "0\n"},
                   {"sys/devices/system/cpu/cpu1/topology/physical_package_id", "-1\n"},
                   {"sys/devices/system/cpu/cpu10/topology/physical_package_id", "1\n"},
                   {"sys/devices/system/cpu/cpu2/online", "0\n"},
                   {"sys/devices/system/cpu/cpu3/topology/physical_package_id", "junk\n"},
                   {"sys/devices/system/cpu/cpufreq/policy0/x", "1\n"}});
  const Topology topology = read_topology(tree.at("sys"), true);
  CHECK(topology == Topology{{0, {}}, {1, {}}, {10, {1, {}}}});
  CHECK(package_of(topology, 10) == CpuPackage{1, {}});
  CHECK(package_of(topology, 77) == CpuPackage{});
  CHECK(read_topology(tree.at("none"), true).empty());
}

TEST_CASE("utilisation of 256 CPUs with a huge interrupt line behind them") {
  const Tree tree({{"proc/stat", stat_of(256, 1'000'000'000, 2'000'000'000, 500'000)}});
  for (unsigned i = 0; i < 256; ++i) {
    tree.write(fmt::format("sys/devices/system/cpu/cpu{}/topology/physical_package_id", i), i < 128 ? "0" : "1");
  }
  Utilization utilization(tree.roots());
  CHECK(utilization.sample().value().packages.empty());
  CHECK(utilization.cpus().size() == 256);
  tree.write("proc/stat", stat_of(256, 1'000'000'300, 2'000'000'100, 500'000));
  const std::map<CpuPackage, double> expected = {{{0, {}}, 0.75}, {{1, {}}, 0.75}};
  CHECK(utilization.sample().value().packages == expected);
}

TEST_CASE("a CPU that comes online is added to the topology") {
  const Tree tree(
      {{"proc/stat", "cpu0 0 0 0 0\nintr 0\n"}, {"sys/devices/system/cpu/cpu0/topology/physical_package_id", "0"}});
  Utilization utilization(tree.roots());
  REQUIRE(utilization.sample().has_value());
  tree.write("sys/devices/system/cpu/cpu1/topology/physical_package_id", "1");
  tree.write("proc/stat", "cpu0 1 0 0 1\ncpu1 0 0 0 0\nintr 0\n");
  REQUIRE(utilization.sample().has_value());
  tree.write("proc/stat", "cpu0 2 0 0 2\ncpu1 0 0 0 1\nintr 0\n");
  const std::map<CpuPackage, double> expected = {{{0, {}}, 0.5}, {{1, {}}, 0.0}};
  CHECK(utilization.sample().value().packages == expected);
}

TEST_CASE("all CPU lines are read by enlarging the head") {
  // 16 KiB end somewhere inside these lines.
  for (unsigned cpus : {400U, 500U, 1000U, 8192U}) {
    const Tree tree({{"proc/stat", stat_of(cpus, 1'000'000'000, 2'000'000'000, 70'000)}});
    Utilization utilization(tree.roots());
    REQUIRE(utilization.sample().has_value());
    CHECK(utilization.cpus().size() == cpus);
  }
}

TEST_CASE("a missing /proc/stat is absent") {
  const Tree tree;
  Utilization utilization(tree.roots());
  CHECK(utilization.sample().error().fault == Fault::absent);
  const Tree empty({{"proc/stat", "intr 1\n"}});
  CHECK(Utilization(empty.roots()).sample().error().fault == Fault::absent);
}
