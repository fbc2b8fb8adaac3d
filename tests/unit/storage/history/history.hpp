// Random histories for tests of the store, and the samples that must be read back.
#pragma once

#include <fmt/format.h>

#include <bit>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "storage/store.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

inline constexpr std::int64_t history_start_ms = 1795424400000;

// Identity (metric{labels}) -> timestamp -> bits of the value.
using Cells = std::map<std::string, std::map<std::int64_t, std::uint64_t>>;

inline std::string identity(const SeriesDescription& series) {
  return series.metric + "{" + series.labels + "}";
}

inline SeriesDescription describe_series(std::uint32_t id) {
  SeriesDescription series;
  series.id = SeriesId{id};
  series.metric = id % 3 == 0 ? "perjoule_gpu_energy_joules_total" : "perjoule_gpu_power_watts";
  series.labels = fmt::format(R"(gpu="{}",name="a\\b\"c")", id);
  series.unit = id % 3 == 0 ? Unit::joule : Unit::watt;
  series.kind = id % 3 == 0 ? Kind::counter : Kind::gauge;
  return series;
}

// Frames of a daemon that samples some groups each second. Series come and go; values are mostly ordinary.
class RandomHistory {
 public:
  explicit RandomHistory(std::uint64_t seed, std::uint32_t group_count = 4, std::int64_t period_ms = 1000)
      : random_(seed), groups_(group_count), period_ms_(period_ms) {}

  // Restarts the process: series and groups get new numbers, identities stay.
  void restart() {
    described_series_.clear();
    described_groups_.clear();
  }
  Frame next_frame(std::size_t ticks) {
    Frame frame;
    for (std::size_t n = 0; n < ticks; ++n, now_ms_ += period_ms_) {
      for (std::uint32_t group = 0; group < groups_; ++group) {
        if (random_() % 20 == 0) continue;
        add_tick(frame, group);
      }
    }
    return frame;
  }
  void expect(const Frame& frame) {
    for (const auto& tick : frame.ticks) {
      for (const auto& sample : tick.samples) {
        cells_[identity(describe_series(static_cast<std::uint32_t>(sample.series)))][tick.wall_ms] =
            std::bit_cast<std::uint64_t>(sample.value);
      }
    }
  }
  const Cells& cells() const { return cells_; }
  std::int64_t now_ms() const { return now_ms_; }
  std::mt19937_64& random() { return random_; }

 private:
  void add_tick(Frame& frame, std::uint32_t group) {
    if (!described_groups_[group]) {
      described_groups_[group] = true;
      frame.groups.push_back({GroupId{group}, "nvml", fmt::format("GPU-{}", group), period_ms_});
    }
    Tick tick{GroupId{group}, now_ms_ + group, {}};
    for (std::uint32_t n = 0; n < 12; ++n) {
      const std::uint32_t id = group * 100 + n;
      if (n > 6 && (now_ms_ / 60000 + n) % 4 == 0) continue;  // for a while
      if (random_() % 30 == 0) continue;                      // a hole
      if (!described_series_[id]) {
        described_series_[id] = true;
        frame.series.push_back(describe_series(id));
      }
      double value = static_cast<double>(200000 + random_() % 5000) / 1e3;
      if (n == 5) value = std::bit_cast<double>(random_());
      if (n == 6) value = 42;
      tick.samples.push_back({SeriesId{id}, value});
    }
    frame.ticks.push_back(std::move(tick));
  }

  std::mt19937_64 random_;
  std::uint32_t groups_;
  std::int64_t period_ms_;
  std::int64_t now_ms_ = history_start_ms;
  std::map<std::uint32_t, bool> described_series_;
  std::map<std::uint32_t, bool> described_groups_;
  Cells cells_;
};

inline Cells read_all(Store& store, const Selection& selection = {}) {
  Cells cells;
  std::string last;
  auto read = store.read(selection, [&](const SeriesDescription& series, const std::vector<Point>& points) {
    CHECK(series.metric + '\x01' + series.labels > last);
    last = series.metric + '\x01' + series.labels;
    auto& of_series = cells[identity(series)];
    std::int64_t before = INT64_MIN;
    for (const auto& point : points) {
      CHECK_MESSAGE(point.wall_ms > before, "timestamps must ascend");
      before = point.wall_ms;
      of_series[point.wall_ms] = std::bit_cast<std::uint64_t>(point.value);
    }
    return true;
  });
  REQUIRE(read);
  return cells;
}

inline Cells only_from(const Cells& cells, std::int64_t from_ms, std::int64_t to_ms = INT64_MAX) {
  Cells out;
  for (const auto& [name, points] : cells) {
    for (const auto& [stamp, bits] : points) {
      if (stamp >= from_ms && stamp <= to_ms) out[name][stamp] = bits;
    }
  }
  return out;
}

inline std::size_t count_points(const Cells& cells) {
  std::size_t count = 0;
  for (const auto& [name, points] : cells)
    count += points.size();
  return count;
}

}  // namespace perjoule::storage
