// The samples for the history and its peers: hosts of tests/bench/telemetry.hpp, their clocks, and the names of their
// series. The same number of series always gives the same samples; only the start time is the caller's.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/bench/telemetry.hpp"

namespace perjoule::bench {

inline constexpr std::uint64_t telemetry_seed = 42;

inline bool is_energy(Shape shape) {
  return shape == Shape::energy_millijoule || shape == Shape::energy_microjoule;
}

// Labels are host="H",sensor="S": the host's number, and the index of the series in its host.
inline const char* metric_of(Shape shape) {
  if (shape == Shape::power_milliwatt || shape == Shape::power_watt) return "perjoule_sensor_power_watts";
  if (is_energy(shape)) return "perjoule_sensor_energy_joules_total";
  if (shape == Shape::temperature || shape == Shape::temperature_eighth) return "perjoule_temperature_celsius";
  return "perjoule_sensor_value";
}

// A host and its clock. `shapes` and `count` are constant; `values` and `stamp_ms` are those of the last tick.
struct Feed {
  Feed(std::uint32_t number, std::size_t series, std::int64_t begin_ms)
      : host(telemetry_seed + number), count(series), start_ms(begin_ms), stamp_ms(begin_ms - 1000) {
    tick(-1);
  }

  void tick(std::int64_t second) {
    const std::int64_t now_ms = start_ms + second * 1000 + host.lateness_ms();
    host.tick(static_cast<double>(now_ms - stamp_ms) / 1e3, values, shapes);
    stamp_ms = now_ms;
    values.resize(count);
  }

  Host host;
  std::size_t count;
  std::int64_t start_ms;
  std::int64_t stamp_ms;
  std::vector<double> values;
  std::vector<Shape> shapes;
};

// The last host has the remaining series.
inline std::vector<Feed> feeds_of(std::size_t series, std::int64_t start_ms) {
  std::vector<Feed> feeds;
  for (std::size_t begun = 0; begun < series; begun += host_series)
    feeds.emplace_back(static_cast<std::uint32_t>(feeds.size()), std::min(host_series, series - begun), start_ms);
  return feeds;
}

}  // namespace perjoule::bench
