// A known past: the telemetry of tests/bench/telemetry.hpp at any period. Any range can be computed again without
// storing samples: the states of the hosts are copied every `stride` ticks, and a range is replayed from a copy.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "storage/store.hpp"
#include "tests/bench/telemetry.hpp"

namespace perjoule {

class Past {
 public:
  struct Plan {
    std::size_t series = 0;
    std::int64_t start_ms = bench::telemetry_start_ms;  // the start of an hour
    std::int64_t period_ms = 1000;
    std::int64_t stride = INT64_MAX;
  };
  explicit Past(const Plan& plan);

  [[nodiscard]] storage::Frame descriptions() const;
  // Appends the next tick of each host.
  void tick(storage::Frame& frame);
  [[nodiscard]] const Plan& plan() const { return plan_; }
  [[nodiscard]] std::uint64_t samples() const { return samples_; }
  [[nodiscard]] std::int64_t now_ms() const { return now_ms_; }  // the newest timestamp

  [[nodiscard]] std::string labels(std::size_t series) const;
  [[nodiscard]] bool is_counter(std::size_t series) const;
  [[nodiscard]] double step(std::size_t series) const;
  // The ticks so far with timestamps in [from_ms, to_ms], bit for bit as they were offered to the store.
  [[nodiscard]] std::vector<storage::Point> points(std::size_t series, std::int64_t from_ms, std::int64_t to_ms) const;
  // The value as a store rounds it to the series' step.
  [[nodiscard]] double stored(std::size_t series, double value) const;

 private:
  struct Source {
    bench::Host host;
    std::int64_t stamp_ms = 0;
    std::vector<double> values;
    std::vector<bench::Shape> shapes;
  };
  void advance(Source& source, std::int64_t number) const;
  [[nodiscard]] bench::Shape shape(std::size_t series) const;
  [[nodiscard]] std::size_t columns(std::size_t host) const;

  Plan plan_;
  std::vector<Source> sources_;
  std::vector<std::vector<Source>> copies_;  // [n]: the states before tick n * stride
  std::int64_t ticks_ = 0;
  std::int64_t now_ms_ = 0;
  std::uint64_t samples_ = 0;
};

}  // namespace perjoule
