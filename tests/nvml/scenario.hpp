// What the stand-in plays: a driver and its boards, read from a JSON file. README.md beside this file describes the
// keys; units are base units (watts, joules, celsius, bytes, hertz, ratios, seconds).
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "tests/nvml/curve.hpp"

namespace perjoule::stand_in {

struct Gpu {
  std::string uuid, pci, name, vbios;
  std::uint32_t architecture = 9;
  int compute_major = 9, compute_minor = 0;
  bool usage_is_mean = true;
  bool counts_in_fields = true;         // throttle times are field values; else nvmlDeviceGetViolationStatus
  std::vector<std::uint32_t> pids;      // of the first of `processes`; further ones have pids from 1,000,000 on
  std::map<std::string, Curve> curves;  // quantities that the scenario gives
  [[nodiscard]] bool has(const std::string& key) const { return curves.contains(key); }
  // The curve; one that returns NVML_ERROR_NOT_SUPPORTED where the scenario gives none.
  [[nodiscard]] const Curve& curve(const std::string& key) const;
};

struct Scenario {
  std::string driver_version = "590.48.01";
  Curve init{0};             // what nvmlInit answers
  Curve init_delay{0};       // seconds it takes
  Curve driver{1};           // 1 while the kernel's driver is loaded; a rise is a new load: the counters start again
  double energy_step = 0.1;  // seconds between two updates of the energy counter
  std::set<std::string> missing;  // symbols that this driver does not have
  std::vector<Gpu> gpus;
};

// Problems are in the order of the file; if there is one the scenario must not be played.
[[nodiscard]] Scenario parse(const std::string& text, std::vector<std::string>& problems);

}  // namespace perjoule::stand_in
