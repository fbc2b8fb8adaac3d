// Helpers that query and prepare history.db for tests of the store. Each fails the test on an error.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "storage/history/sqlite_store.hpp"
#include "tests/unit/storage/history/history.hpp"

namespace perjoule::storage {

inline std::unique_ptr<SqliteStore> open_store(const std::filesystem::path& path) {
  Notes notes;
  auto store = SqliteStore::open(path, 1795515072000, notes);
  REQUIRE(store);
  CHECK(notes.empty());
  return std::move(*store);
}

inline void seal_all(Store& store) {
  for (;;) {
    auto more = store.seal();
    REQUIRE(more);
    if (!*more) return;
  }
}

inline std::int64_t number(const std::filesystem::path& path, std::string_view sql) {
  auto reader = open_database_read_only(path, history_format);
  REQUIRE(reader);
  auto value = reader->integer(sql);
  REQUIRE(value);
  return *value;
}

// Writes a version 1 file with a tail row for each of `rows`, with a sample of describe_series(1) at each timestamp.
inline void write_version_1(const std::filesystem::path& path, std::span<const std::vector<std::int64_t>> rows,
                            Cells& expected) {
  Format first = history_format;
  first.migrations = history_format.migrations.first(1);
  Notes notes;
  auto old = open_database(path, first, history_start_ms, notes);
  REQUIRE(old);
  const SeriesDescription series = describe_series(1);
  REQUIRE(
      old->run(fmt::format("INSERT INTO series VALUES(7, '{}', '{}', 'watts', 0); "
                           "INSERT INTO grp VALUES(3, 'nvml', 'GPU-0', 10000, x'0e', NULL)",
                           series.metric, series.labels)));
  auto insert = old->prepare("INSERT INTO tail VALUES(?1, ?2, ?3, ?4)");
  REQUIRE(insert);
  std::int64_t number = 0;
  for (const auto& stamps_ms : rows) {
    GroupBlock block;
    block.reset(3, 1, stamps_ms.size());
    block.stamps_ms = stamps_ms;
    for (std::size_t t = 0; t < stamps_ms.size(); ++t) {
      block.values[t] = static_cast<double>(++number) / 2;
      block.present[t] = 1;
      expected[identity(series)][stamps_ms[t]] = std::bit_cast<std::uint64_t>(block.values[t]);
    }
    std::string frame;
    begin_frame(frame, stamps_ms.front());
    append_group(frame, stamps_ms.front(), block);
    const auto [first_ms, last_ms] = std::minmax_element(stamps_ms.begin(), stamps_ms.end());
    REQUIRE(insert->bind(1, number).bind(2, *first_ms).bind(3, *last_ms).bind_blob(4, frame).run());
  }
}

}  // namespace perjoule::storage
