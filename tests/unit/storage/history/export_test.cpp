#include "storage/history/export.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "storage/history/sqlite_store.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

namespace {

std::unique_ptr<SqliteStore> small_store(const std::filesystem::path& path) {
  Notes notes;
  auto store = SqliteStore::open(path, 0, notes);
  REQUIRE(store);
  Frame frame;
  frame.groups = {{GroupId{1}, "nvml", "GPU-1", 1000}};
  frame.series = {{SeriesId{1}, "perjoule_gpu_power_watts", R"(gpu="1",name="a\"b\\c\nd")", Unit::watt, Kind::gauge},
                  {SeriesId{2}, "perjoule_gpu_energy_joules_total", R"(gpu="1")", Unit::joule, Kind::counter},
                  {SeriesId{3}, "perjoule_gpu_energy_joules_total", R"(gpu="0")", Unit::joule, Kind::counter},
                  {SeriesId{4}, "perjoule_up", "", Unit::none, Kind::gauge},
                  {SeriesId{5}, "perjoule_gpu_processes", "", Unit::none, Kind::gauge}};
  constexpr double nan = std::numeric_limits<double>::quiet_NaN();
  constexpr double infinity = std::numeric_limits<double>::infinity();
  frame.ticks = {
      {GroupId{1}, 1795515072007, {{SeriesId{1}, 312.5}, {SeriesId{2}, 1e15}, {SeriesId{3}, 0.1}, {SeriesId{4}, 1}}},
      {GroupId{1}, 1795515073000, {{SeriesId{1}, nan}, {SeriesId{2}, 1e15 + 1}, {SeriesId{4}, infinity}}}};
  REQUIRE((*store)->append(frame));
  return std::move(*store);
}

std::string text_of(Store& store, Result<void> (*run)(Store&, const Selection&, const WriteText&),
                    const Selection& selection = {}) {
  std::string text;
  REQUIRE(run(store, selection, [&](std::string_view piece) {
    text += piece;
    return true;
  }));
  return text;
}

}  // namespace

TEST_CASE("export: an end mark is an empty value in CSV, and nothing in OpenMetrics") {
  Scratch scratch;
  Notes notes;
  auto store = SqliteStore::open(scratch / "history.db", 0, notes);
  REQUIRE(store);
  Frame frame;
  frame.groups = {{GroupId{1}, "rapl", "package-0", 1000}};
  frame.series = {{SeriesId{1}, "perjoule_up", "", Unit::none, Kind::gauge}};
  frame.ticks = {{GroupId{1}, 1795515072000, {{SeriesId{1}, 1}}},
                 {GroupId{1}, 1795515073000, {{SeriesId{1}, end_mark}}}};
  REQUIRE((*store)->append(frame));
  CHECK(text_of(**store, export_csv) ==
        "time,metric,labels,value\n"
        "2026-11-24T10:11:12.000Z,perjoule_up,\"\",1\n"
        "2026-11-24T10:11:13.000Z,perjoule_up,\"\",\n");
  CHECK(text_of(**store, export_openmetrics) == "# TYPE perjoule_up gauge\nperjoule_up 1 1795515072.000\n# EOF\n");
}

TEST_CASE("export: OpenMetrics") {
  Scratch scratch;
  auto store = small_store(scratch / "history.db");
  CHECK(text_of(*store, export_openmetrics) ==
        "# TYPE perjoule_gpu_energy_joules counter\n"
        "# UNIT perjoule_gpu_energy_joules joules\n"
        "perjoule_gpu_energy_joules_total{gpu=\"0\"} 0.1 1795515072.007\n"
        "perjoule_gpu_energy_joules_total{gpu=\"1\"} 1e+15 1795515072.007\n"
        "perjoule_gpu_energy_joules_total{gpu=\"1\"} 1000000000000001 1795515073.000\n"
        "# TYPE perjoule_gpu_power_watts gauge\n"
        "# UNIT perjoule_gpu_power_watts watts\n"
        "perjoule_gpu_power_watts{gpu=\"1\",name=\"a\\\"b\\\\c\\nd\"} 312.5 1795515072.007\n"
        "perjoule_gpu_power_watts{gpu=\"1\",name=\"a\\\"b\\\\c\\nd\"} NaN 1795515073.000\n"
        "# TYPE perjoule_up gauge\n"
        "perjoule_up 1 1795515072.007\n"
        "perjoule_up +Inf 1795515073.000\n"
        "# EOF\n");
  Selection none;
  none.metric = "perjoule_nothing";
  CHECK(text_of(*store, export_openmetrics, none) == "# EOF\n");
}

TEST_CASE("export: CSV") {
  Scratch scratch;
  auto store = small_store(scratch / "history.db");
  Selection selection;
  selection.to_ms = 1795515072999;
  CHECK(text_of(*store, export_csv, selection) ==
        "time,metric,labels,value\n"
        "2026-11-24T10:11:12.007Z,perjoule_gpu_energy_joules_total,\"gpu=\"\"0\"\"\",0.1\n"
        "2026-11-24T10:11:12.007Z,perjoule_gpu_energy_joules_total,\"gpu=\"\"1\"\"\",1e+15\n"
        "2026-11-24T10:11:12.007Z,perjoule_gpu_power_watts,\"gpu=\"\"1\"\",name=\"\"a\\\"\"b\\\\c\\nd\"\"\",312.5\n"
        "2026-11-24T10:11:12.007Z,perjoule_up,\"\",1\n");
}

TEST_CASE("export: a closed pipe ends it, and a long history is written in pieces") {
  Scratch scratch;
  auto store = small_store(scratch / "history.db");
  for (int n = 0; n < 20; ++n) {
    Frame frame;
    for (int tick = 0; tick < 1000; ++tick) {
      frame.ticks.push_back({GroupId{1}, 1795515074000 + (n * 1000 + tick) * 1000, {{SeriesId{1}, tick / 8.0}}});
    }
    REQUIRE(store->append(frame));
  }
  std::size_t pieces = 0;
  std::size_t largest = 0;
  REQUIRE(export_csv(*store, {}, [&](std::string_view piece) {
    ++pieces;
    largest = std::max(largest, piece.size());
    return true;
  }));
  CHECK(pieces > 10);
  CHECK(largest < 70000);
  pieces = 0;
  REQUIRE(export_openmetrics(*store, {}, [&](std::string_view) { return ++pieces < 2; }));
  CHECK(pieces == 2);
}

TEST_CASE("export: Prometheus loads it") {
  if (std::system("promtool --version >/dev/null 2>&1") != 0) {
    MESSAGE("skipped: promtool is not installed");
    return;
  }
  Scratch scratch;
  auto store = small_store(scratch / "history.db");
  write_file(scratch / "history.om", text_of(*store, export_openmetrics));
  const std::string run = fmt::format(
      "promtool tsdb create-blocks-from openmetrics {0}/history.om {0}/tsdb >{0}/log 2>&1", scratch.path().string());
  const int status = std::system(run.c_str());
  CAPTURE(read_file(scratch / "log"));
  CHECK(status == 0);
  // `promtool tsdb dump` requires a wal directory, and from 2.53 on a directory `data` where it is called.
  std::filesystem::create_directory(scratch / "tsdb" / "wal");
  std::filesystem::create_directory(scratch / "data");
  const std::string dump = fmt::format("cd {0} && promtool tsdb dump tsdb >dump 2>&1", scratch.path().string());
  CHECK(std::system(dump.c_str()) == 0);
  const std::string dumped = read_file(scratch / "dump");
  CAPTURE(dumped);
  CHECK(std::count(dumped.begin(), dumped.end(), '\n') == 7);
  CHECK(dumped.find("1.000000000000001e+15 1795515073000") != std::string::npos);
}

}  // namespace perjoule::storage
