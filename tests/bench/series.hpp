// The series that the scrape benchmarks render: those of a host's sensor chips, with values as the kernel reports them.
#pragma once

#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "collectors/sensor_metrics.hpp"
#include "collectors/thermal/metrics.hpp"

namespace perjoule::bench {

struct Shown {
  const Metric* metric = nullptr;
  std::vector<std::string> values;  // of its labels
};

inline std::vector<Shown> shown_series(std::size_t count) {
  std::vector<Shown> all;
  for (std::size_t i = 0; all.size() < count; ++i) {
    const std::string chip = "coretemp_" + std::to_string(i / 16);
    const std::string sensor = "Core " + std::to_string(i % 16);
    all.push_back({&sensor_temperature, {chip, sensor, "cpu"}});
    all.push_back({&sensor_power, {chip, sensor, "cpu"}});
  }
  all.resize(count);
  return all;
}

// Random values with the kernel's resolution: millidegrees and microwatts.
class Values {
 public:
  double next(const Metric& metric) {
    return metric.unit == Unit::celsius ? static_cast<double>(random_() % 70'000 + 25'000) / 1e3
                                        : static_cast<double>(random_() % 300'000'000 + 1'000'000) / 1e6;
  }

 private:
  std::mt19937_64 random_{20'260'801};
};

// Registers the same series with prometheus-cpp.
inline std::vector<prometheus::Gauge*> register_all(prometheus::Registry& registry, const std::vector<Shown>& series) {
  std::vector<prometheus::Gauge*> gauges;
  for (const Shown& shown : series) {
    prometheus::Labels labels;
    for (std::size_t i = 0; i < shown.values.size(); ++i)
      labels.emplace(std::string(shown.metric->labels[i]), shown.values[i]);
    gauges.push_back(&prometheus::BuildGauge()
                          .Name(std::string(shown.metric->name))
                          .Help(std::string(shown.metric->help))
                          .Register(registry)
                          .Add(labels));
  }
  return gauges;
}

}  // namespace perjoule::bench
