#include "daemon/commands/table.hpp"

#include <doctest/doctest.h>

#include "collectors/gpu/metrics.hpp"
#include "collectors/host/metrics.hpp"
#include "collectors/power/metrics.hpp"
#include "collectors/sensor_metrics.hpp"
#include "daemon/efficiency/node_power.hpp"
#include "tests/unit/daemon/commands/shown.hpp"

using namespace perjoule;

namespace {

void show_gpu(HandSurvey& of, unsigned slot, double watts) {
  const std::string labels = "gpu=\"" + std::to_string(slot) + "\",uuid=\"GPU-" + std::to_string(slot) + "\"";
  of.show(gpu_info, labels + ",name=\"NVIDIA H100 80GB HBM3\"", 1);
  of.show(gpu_power, labels, watts);
  of.show(gpu_power_limit, labels, 700);
  of.show(gpu_temperature, labels + ",sensor=\"core\"", 57.4);
  of.show(gpu_temperature, labels + ",sensor=\"memory\"", 61.6);
  of.show(gpu_utilization, labels, 0.97);
  of.show(gpu_memory_used, labels, 17559453696);
  of.show(gpu_memory_total, labels, 85520809984);
  of.show(gpu_clock, labels + ",domain=\"sm\"", 1980e6);
  of.show(gpu_clock, labels + ",domain=\"memory\"", 2619e6);
  of.show(gpu_throttle_active, labels + ",reason=\"hw_thermal\"", slot == 2 ? 1 : 0);
}

void show_node(HandSurvey& of, double modelled_watts, std::string_view source) {
  of.boards(3, 3);
  for (const unsigned slot : {2U, 0U, 1U})
    show_gpu(of, slot, 600 + slot);
  of.show(node_power, "source=\"" + std::string(source) + "\"", 1900.04);
  of.show(node_modelled_power, "", source == "mixed" ? 97.04 + modelled_watts + 1.234 : 0);
  const std::string_view how = modelled_watts > 0 ? "modelled" : "rapl";
  of.show(cpu_package_power, "package=\"0\",source=\"" + std::string(how) + "\"", 97.04);
  of.show(cpu_package_power, "package=\"10\",source=\"" + std::string(how) + "\"", modelled_watts);
  of.show(cpu_package_power, "package=\"2\",source=\"" + std::string(how) + "\"", 1.234);
  of.show(cpu_utilization, "package=\"0\"", 0.034);
  of.show(cpu_clock, "package=\"0\"", 2.6e9);
  of.show(sensor_temperature, "chip=\"coretemp.10\",sensor=\"Package id 1\",role=\"cpu\"", 66);
  of.show(sensor_temperature, "chip=\"coretemp.10\",sensor=\"Core 0\",role=\"cpu\"", 64);
  of.show(sensor_temperature, "chip=\"board\",sensor=\"inlet\",role=\"inlet\"", 22);
}

std::string verdict_of(double modelled_watts, std::string_view source) {
  HandSurvey of;
  show_node(of, modelled_watts, source);
  return verdict(of.survey, {});
}

}  // namespace

TEST_CASE("the table: node, packages by number, GPUs by slot, in plain units") {
  HandSurvey of;
  show_node(of, 0, "sum");
  CHECK(table(of.survey, {}) ==
        "OK: 3 of 3 GPUs, 100 % of power measured\n\n"
        "DEVICE                    POWER  LIMIT  TEMP   MEM  BUSY          MEMORY     CLOCK  NOTE\n"
        "node                   1900.0 W         22 C                                        sum\n"
        "cpu 0                    97.0 W                    3.4 %                 2.600 GHz\n"
        "cpu 2                    1.23 W\n"
        "cpu 10                   0.00 W         66 C\n"
        "gpu 0 H100 80GB HBM3    600.0 W  700 W  57 C  62 C  97 %   16.4/79.6 GiB 1.980 GHz\n"
        "gpu 1 H100 80GB HBM3    601.0 W  700 W  57 C  62 C  97 %   16.4/79.6 GiB 1.980 GHz\n"
        "gpu 2 H100 80GB HBM3    602.0 W  700 W  57 C  62 C  97 %   16.4/79.6 GiB 1.980 GHz  hw_thermal\n");
}

TEST_CASE("the verdict says how much of the power is measured, and never more than is") {
  const std::vector<Finding> none;
  CHECK(verdict_of(0, "meter") == "OK: 3 of 3 GPUs, 100 % of power measured");
  CHECK(verdict_of(2, "meter") == "OK: 3 of 3 GPUs, 100 % of power measured");
  CHECK(verdict_of(2, "mixed") == "OK: 3 of 3 GPUs, 94 % of power measured");
  HandSurvey empty;
  CHECK(verdict(empty.survey, none) == "OK: no GPU, power unknown");
  empty.show(node_power, "source=\"modelled\"", 5);
  empty.show(node_modelled_power, "", 5);
  empty.show(cpu_package_power, "package=\"0\",source=\"modelled\"", 5);
  CHECK(verdict(empty.survey, none) == "OK: no GPU, 0 % of power measured");
}

TEST_CASE("a GPU that does not answer has its line, and its reason below the table") {
  HandSurvey of;
  show_node(of, 0, "sum");
  const std::string text = table(of.survey, {{.source = "nvml",
                                              .device = "GPU-7",
                                              .slot = 7,
                                              .address = "0000:70:00.0",
                                              .condition = Condition::stuck,
                                              .what = std::string(200, 'x'),
                                              .problem = true}});
  CHECK(text.starts_with("1 problem: GPU 7 (0000:70:00.0) stuck\n\n"));
  CHECK(text.find("\ngpu 7 0000:70:00.0") != std::string::npos);
  CHECK(text.find("GPU 7 (0000:70:00.0): stuck, xxx") != std::string::npos);
  CHECK(text.ends_with("xx..\n`perjouled doctor` has the remedies.\n"));
  std::size_t begin = 0;
  while (begin < text.size()) {
    const std::size_t end = text.find('\n', begin);
    CHECK(end - begin <= 100);
    begin = end + 1;
  }
}
