// A history.db with a power and an energy series, sampled together and written by a real store, for tests of readers.
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <utility>

#include "storage/history/sqlite_store.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::query {

inline constexpr std::int64_t begin_ms =
    1'795'392'000'000;  // 2026-11-23 00:00:00 UTC, the start of an hour and of a slot

// perjoule_test_power_watts{gpu="0"} is the timestamp in seconds modulo 1000;
// perjoule_test_energy_joules_total{gpu="0"} is the number of seconds since begin_ms.
class Recording {
 public:
  explicit Recording(const std::filesystem::path& file, std::int64_t period_ms = 1000) : period_ms_(period_ms) {
    storage::Notes notes;
    auto store = storage::SqliteStore::open(file, begin_ms, notes);
    REQUIRE(store);
    store_ = std::move(*store);
    storage::Frame frame;
    frame.groups.push_back({storage::GroupId{0}, "test", "0", period_ms});
    frame.series.push_back({SeriesId{0}, "perjoule_test_power_watts", R"(gpu="0")", Unit::watt, Kind::gauge, 0});
    frame.series.push_back(
        {SeriesId{1}, "perjoule_test_energy_joules_total", R"(gpu="0")", Unit::joule, Kind::counter, 0});
    described_ = std::move(frame);
  }

  // Records samples from `from_ms` to `to_ms`, both inclusive, and seals what is old enough.
  void record(std::int64_t from_ms, std::int64_t to_ms) {
    storage::Frame frame = std::exchange(described_, {});
    for (std::int64_t at_ms = from_ms; at_ms <= to_ms; at_ms += period_ms_) {
      const auto second = static_cast<double>(at_ms / 1000 % 1000);
      const auto passed = static_cast<double>((at_ms - begin_ms) / 1000);
      frame.ticks.push_back({storage::GroupId{0}, at_ms, {{SeriesId{0}, second}, {SeriesId{1}, passed}}});
      if (frame.ticks.size() == 900) commit(frame);
    }
    commit(frame);
  }
  void retain(const storage::RetentionPolicy& policy) {
    for (auto more = store_->retain(policy);; more = store_->retain(policy)) {
      REQUIRE(more);
      if (!*more) return;
    }
  }

 private:
  void commit(storage::Frame& frame) {
    REQUIRE(store_->append(frame));
    frame = {};
    for (auto more = store_->seal();; more = store_->seal()) {
      REQUIRE(more);
      if (!*more) return;
    }
  }

  std::int64_t period_ms_;
  std::unique_ptr<storage::SqliteStore> store_;
  storage::Frame described_;
};

}  // namespace perjoule::query
