// Two hosts as file trees, for the golden scrapes: one with energy meters, and one with only /proc and a CPU topology.
#pragma once

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "tests/fakes/tree.hpp"

namespace perjoule {

class GoldenHost {
 public:
  explicit GoldenHost(bool metered) : metered_(metered) {
    tree_.write("proc/cpuinfo",
                "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: Xeon\n"
                "stepping\t: 7\n\n");
    for (int cpu = 0; cpu < 4; ++cpu) {
      const std::string directory = fmt::format("sys/devices/system/cpu/cpu{}/", cpu);
      tree_.write(directory + "topology/physical_package_id", cpu < 2 ? "0\n" : "1\n");
      tree_.write(directory + "cpufreq/scaling_cur_freq", "2400000\n");
    }
    tree_.write("proc/pressure/cpu", "some avg10=0.10 avg60=2.00 avg300=3.85 total=1500000\n");
    tree_.write("proc/pressure/memory",
                "some avg10=0.10 avg60=2.00 avg300=3.85 total=15\nfull avg10=0.20 avg60=3.00 avg300=4.95 total=25\n");
    if (metered) add_meters();
    second(0);
    if (!metered) return;
    // NOLINTBEGIN(concurrency-mt-unsafe): one thread
    ::setenv("PERJOULE_NVML_SCENARIO", PERJOULE_SOURCE_DIR "/tests/fixtures/nvml/golden.json", 1);
    ::setenv("NVML_STAND_IN_TIME", tree_.at("nvml_time").c_str(), 1);
    // NOLINTEND(concurrency-mt-unsafe)
  }
  ~GoldenHost() {
    for (const char* name : {"PERJOULE_NVML_SCENARIO", "NVML_STAND_IN_TIME"})
      ::unsetenv(name);  // NOLINT(concurrency-mt-unsafe): one thread
  }
  GoldenHost(const GoldenHost&) = delete;
  GoldenHost& operator=(const GoldenHost&) = delete;

  // Writes the files of the host as they are `seconds` after the start.
  void second(std::uint64_t seconds) const {
    std::string stat = "cpu  0 0 0 0\n";
    for (std::uint64_t cpu = 0; cpu < 4; ++cpu)
      stat += fmt::format("cpu{} {} 0 0 {} 0 0 0 0 0 0\n", cpu, 20 * (cpu + 1) * seconds, 100 * seconds);
    tree_.write("proc/stat", stat + "intr 0\n");
    if (!metered_) return;
    tree_.write("nvml_time", fmt::format("{}", seconds));
    const struct {
      const char* zone;
      std::uint64_t start_uj;
      std::uint64_t watts;
    } zones[] = {{"0", 240'422'366'267, 50}, {"0:0", 118'821'284'256, 30}, {"0:1", 5, 1}, {"0:2", 77, 5}, {"a", 9, 40},
                 {"b", 4'000'000, 120}};
    for (const auto& zone : zones) {
      tree_.write(fmt::format("sys/class/powercap/intel-rapl:{}/energy_uj", zone.zone),
                  fmt::format("{}\n", zone.start_uj + zone.watts * seconds * 1'000'000));
    }
    tree_.write("site/work.prom", fmt::format("# TYPE perjoule_work_total counter\n"
                                              "perjoule_work_total{{workload=\"train\",kind=\"steps\"}} {}\n",
                                              1000 + 2 * seconds));
  }

  [[nodiscard]] Roots roots() const {
    Roots roots = tree_.roots();
    roots.nvml = metered_ ? PERJOULE_NVML_STAND_IN : "libno-such-library.so.1";
    return roots;
  }
  [[nodiscard]] std::string textfiles() const { return tree_.at("site").native(); }

 private:
  void add_meters() const {
    const std::filesystem::path fixtures = std::filesystem::path(PERJOULE_SOURCE_DIR) / "tests/fixtures/sysfs";
    for (const char* host : {"rapl_intel", "hwmon_server"}) {
      std::filesystem::copy(fixtures / host, tree_.at("sys"),
                            std::filesystem::copy_options::recursive | std::filesystem::copy_options::copy_symlinks);
    }
    const std::string energy = "sys/class/hwmon/hwmon9/";
    tree_.write(energy + "name", "ina2xx\n");
    tree_.write(energy + "energy1_input", "5000000\n");
    const std::string supply = "sys/class/hwmon/hwmon10/";  // its input is dead: the node's source psu is refused
    tree_.write(supply + "name", "pmbus\n");
    tree_.write(supply + "power1_label", "pin\n");
    tree_.write(supply + "power1_input", "0\n");
    tree_.write(supply + "power2_label", "pout1\n");
    tree_.write(supply + "power2_input", "370000000\n");
    const std::string zone = "sys/class/thermal/thermal_zone0/";
    tree_.write(zone + "type", "acpitz\n");
    tree_.write(zone + "temp", "44000\n");
    tree_.write(zone + "trip_point_0_type", "critical\n");
    tree_.write(zone + "trip_point_0_temp", "105000\n");
    tree_.write("site/facility.prom",
                "perjoule_facility_power_watts{category=\"it \\\"A\\\"\"} 120000\n"
                "perjoule_circuit_current_amperes{phase=\"L1\",rack=\"r1\",feed=\"A\"} 12.5\n"
                "perjoule_circuit_rating_amperes{rack=\"r1\",feed=\"A\",phase=\"L1\"} 32\n"
                "perjoule_phase_imbalance_ratio{rack=\"r1\",feed=\"A\"} 0.1\n"
                "perjoule_temperature_celsius{chip=\"crac\",sensor=\"cold\",role=\"inlet\"} 23.5\n");
  }

  bool metered_;
  Tree tree_;
};

}  // namespace perjoule
