// What the history costs from append to sealed, and how quickly it answers, on the telemetry of
// tests/bench/telemetry.hpp.
//
//   bench_history DIRECTORY SERIES SECONDS    an empty directory on the disk to measure
//
// The store alone, as the writer's thread drives it: a commit every five seconds, synchronous=FULL, sealing behind it.
// The last minutes stay in the tail, as they do in a daemon. Then the queries, in process, on a connection of their
// own.
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <string>
#include <vector>

#include "storage/database_file.hpp"
#include "storage/history_reader.hpp"
#include "storage/sqlite_store.hpp"
#include "tests/bench/telemetry.hpp"

namespace {

using namespace perjoule;

constexpr std::uint64_t seed = 42;
constexpr std::int64_t commit_seconds = 5;
constexpr std::int64_t start_ms = bench::telemetry_start_ms;
constexpr int rounds = 401;

[[noreturn]] void fail(const std::string& what) {
  fmt::print(stderr, "bench_history: {}\n", what);
  std::exit(1);
}

template <class T>
T need(Result<T> result) {
  if (!result) fail(result.error().what);
  return std::move(*result);
}

void need(const Result<void>& result) {
  if (!result) fail(result.error().what);
}

double cpu_us() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

std::uint64_t proc_value(const char* path, const std::string& wanted) {
  std::ifstream file(path);
  std::string name;
  while (file >> name) {
    std::uint64_t value = 0;
    if (name == wanted && file >> value) return value;
    file.ignore(4096, '\n');
  }
  fail(fmt::format("{} without {}", path, wanted));
}

bool is_energy(bench::Shape shape) {
  return shape == bench::Shape::energy_millijoule || shape == bench::Shape::energy_microjoule;
}

const char* metric_of(bench::Shape shape) {
  using bench::Shape;
  if (shape == Shape::power_milliwatt || shape == Shape::power_watt) return "perjoule_sensor_power_watts";
  if (is_energy(shape)) return "perjoule_sensor_energy_joules_total";
  if (shape == Shape::temperature || shape == Shape::temperature_eighth) return "perjoule_temperature_celsius";
  return "perjoule_sensor_value";
}

struct Feed {
  Feed(std::uint32_t number, std::size_t series) : host(seed + number), count(series) { tick(-1); }

  void tick(std::int64_t second) {
    const std::int64_t now_ms = start_ms + second * 1000 + host.lateness_ms();
    host.tick(static_cast<double>(now_ms - stamp_ms) / 1e3, values, shapes);
    stamp_ms = now_ms;
    values.resize(count);
  }

  bench::Host host;
  std::size_t count;
  std::int64_t stamp_ms = start_ms - 1000;
  std::vector<double> values;
  std::vector<bench::Shape> shapes;
};

storage::Frame descriptions(const std::vector<Feed>& feeds) {
  storage::Frame frame;
  for (std::uint32_t h = 0; h < feeds.size(); ++h) {
    frame.groups.push_back({storage::GroupId{h}, "bench", fmt::format("host_{}", h), 1000});
    for (std::size_t s = 0; s < feeds[h].count; ++s) {
      const bench::Shape shape = feeds[h].shapes[s];
      frame.series.push_back({static_cast<SeriesId>(h * bench::host_series + s), metric_of(shape),
                              fmt::format("host=\"{}\",sensor=\"{}\"", h, s), Unit::none,
                              is_energy(shape) ? Kind::counter : Kind::gauge});
    }
  }
  return frame;
}

void ingest(const std::filesystem::path& path, std::size_t series, std::int64_t seconds) {
  std::vector<Feed> feeds;
  for (std::size_t begun = 0; begun < series; begun += bench::host_series)
    feeds.emplace_back(static_cast<std::uint32_t>(feeds.size()), std::min(bench::host_series, series - begun));
  storage::Notes notes;
  auto store = need(storage::SqliteStore::open(path, start_ms, notes));
  need(store->append(descriptions(feeds)));
  double spent_us = 0;
  std::uint64_t samples = 0;
  const std::uint64_t written_before = proc_value("/proc/self/io", "wchar:");
  double longest_ms = 0;
  storage::Frame frame;
  for (std::int64_t second = 0; second < seconds; ++second) {
    for (std::uint32_t h = 0; h < feeds.size(); ++h) {
      feeds[h].tick(second);
      frame.ticks.push_back({storage::GroupId{h}, feeds[h].stamp_ms, {}});
      for (std::size_t s = 0; s < feeds[h].count; ++s)
        frame.ticks.back().samples.push_back({static_cast<SeriesId>(h * bench::host_series + s), feeds[h].values[s]});
      samples += feeds[h].count;
    }
    if (second % commit_seconds != commit_seconds - 1) continue;
    const double before_us = cpu_us();
    const auto before = std::chrono::steady_clock::now();
    need(store->append(frame));
    for (int call = 0; call < 2 && need(store->seal()); ++call) {
    }
    longest_ms = std::max(longest_ms,
                          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - before).count());
    spent_us += cpu_us() - before_us;
    frame.ticks.clear();
  }
  const double count = static_cast<double>(samples);
  fmt::print("rss_kib {}\n", proc_value("/proc/self/status", "VmHWM:"));
  fmt::print("written_per_sample {}\n",
             static_cast<double>(proc_value("/proc/self/io", "wchar:") - written_before) / count);
  fmt::print("cpu_us_per_sample {}\n", spent_us / count);
  fmt::print("commit_longest_ms {}\n", longest_ms);
}

void sizes(const std::filesystem::path& path) {
  storage::Connection connection = need(storage::open_database_read_only(path, storage::history_format));
  const auto bytes = [&](const char* names) {
    return need(connection.integer(fmt::format("SELECT sum(pgsize) FROM dbstat WHERE name IN ({})", names)));
  };
  const std::int64_t samples = need(connection.integer("SELECT sum(samples) FROM chunk"));
  const std::int64_t all = need(connection.integer("PRAGMA page_count")) * 4096;
  const std::int64_t free = need(connection.integer("PRAGMA freelist_count")) * 4096;
  const std::int64_t tail = bytes("'tail'");
  const auto each = [&](const char* figure, std::int64_t value) {
    fmt::print("{} {}\n", figure, static_cast<double>(value) / static_cast<double>(samples));
  };
  each("bytes_per_sample", all - free - tail);
  each("chunk_bytes_per_sample", bytes("'chunk'"));
  each("minute_bytes_per_sample", bytes("'roll_1m'"));
  each("hour_bytes_per_sample", bytes("'roll_1h'"));
  fmt::print("tail_bytes {}\nfree_bytes {}\nwal_bytes {}\n", tail, free,
             std::filesystem::file_size(path.string() + "-wal"));
}

template <class Query>
void time(const char* figure, const Query& query) {
  std::vector<double> spent;
  for (int n = 0; n < rounds; ++n) {
    const auto begin = std::chrono::steady_clock::now();
    query();
    spent.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  }
  std::nth_element(spent.begin(), spent.begin() + rounds / 2, spent.end());
  fmt::print("{} {}\n", figure, spent[rounds / 2]);
}

void queries(const std::filesystem::path& path, std::int64_t seconds) {
  storage::Connection connection = need(storage::open_database_read_only(path, storage::history_format));
  storage::HistoryReader reader(connection);
  const std::int64_t end_ms = start_ms + seconds * 1000;
  const auto powers = need(reader.series("perjoule_sensor_power_watts"));
  std::vector<std::int64_t> ids;
  for (const auto& each : powers)
    ids.push_back(each.id);
  const std::span all(ids);
  const std::int64_t cut_ms = std::getenv("CUT") != nullptr ? std::atoi(std::getenv("CUT")) * 1000 : 0;
  const storage::Range six_hours{end_ms - 6 * 3600000, end_ms - cut_ms};
  time("query_6h_raw_ms", [&] {
    if (need(reader.raw(all.first(1), six_hours, 1 << 20))[0].size() < 19000) fail("raw points are missing");
  });
  if (std::getenv("ONLY") != nullptr) return;
  time("query_6h_minute_ms", [&] {
    if (need(reader.buckets(all.first(1), six_hours, storage::Resolution::minute, 1 << 20))[0].size() < 330) {
      fail("minutes are missing");
    }
  });
  const storage::Range five_minutes{end_ms - 300'000, end_ms};
  time("query_100x5m_ms", [&] {
    const auto points = need(reader.raw(all.first(100), five_minutes, 1 << 20));
    if (points[99].size() < 299) fail("raw points are missing");
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::filesystem::path path = std::filesystem::path(argv[1]) / "history.db";
  const std::size_t series = std::strtoul(argv[2], nullptr, 10);
  const std::int64_t seconds = std::strtol(argv[3], nullptr, 10);
  storage::Notes notes;
  if (!std::filesystem::exists(path)) ingest(path, series, seconds);
  auto store = need(storage::SqliteStore::open(path, start_ms, notes));  // so that there is a log beside the file
  need(store->append({}));
  sizes(path);
  if (seconds >= 6 * 3600) queries(path, seconds);
}
