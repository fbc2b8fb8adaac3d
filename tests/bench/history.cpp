// Measures what the history costs from append to sealing, and how fast it answers, with the telemetry of
// tests/bench/feed.hpp.
//
//   bench_history DIRECTORY SERIES SECONDS START_MS lossless|declared    an empty directory on the disk to measure
//
// It drives the store as the writer's thread does: a commit every five seconds, synchronous=FULL, then sealing. The
// last minutes stay in the tail, as in a daemon. Then it reads every sample back and compares it, bit for bit or within
// half the declared step, and runs queries over six hours in process on a connection of their own.
#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "storage/history/history_reader.hpp"
#include "storage/history/sqlite_store.hpp"
#include "tests/bench/feed.hpp"

namespace {

using namespace perjoule;

constexpr std::int64_t commit_seconds = 5;
constexpr int rounds = 101;

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
  fail(fmt::format("{} has no line {}", path, wanted));
}

// The step that a metric may declare, far below its sensor's error; 0: lossless.
double step_of(bench::Shape shape) {
  if (shape == bench::Shape::power_milliwatt) return 0.1;
  return bench::is_energy(shape) ? 1 : 0;
}

struct Run {
  std::filesystem::path path;
  std::size_t series = 0;
  std::int64_t seconds = 0;
  std::int64_t start_ms = 0;
  bool declared = false;
};

storage::Frame descriptions(const std::vector<bench::Feed>& feeds, bool declared) {
  storage::Frame frame;
  for (std::uint32_t h = 0; h < feeds.size(); ++h) {
    frame.groups.push_back({storage::GroupId{h}, "bench", fmt::format("host_{}", h), 1000});
    for (std::size_t s = 0; s < feeds[h].count; ++s) {
      const bench::Shape shape = feeds[h].shapes[s];
      frame.series.push_back({static_cast<SeriesId>(h * bench::host_series + s), bench::metric_of(shape),
                              fmt::format("host=\"{}\",sensor=\"{}\"", h, s), Unit::none,
                              bench::is_energy(shape) ? Kind::counter : Kind::gauge, declared ? step_of(shape) : 0});
    }
  }
  return frame;
}

void ingest(const Run& run) {
  std::vector<bench::Feed> feeds = bench::feeds_of(run.series, run.start_ms);
  storage::Notes notes;
  auto store = need(storage::SqliteStore::open(run.path, run.start_ms, notes));
  need(store->append(descriptions(feeds, run.declared)));
  double spent_us = 0;
  std::uint64_t samples = 0;
  const std::uint64_t written_before = proc_value("/proc/self/io", "wchar:");
  double longest_ms = 0;
  storage::Frame frame;
  for (std::int64_t second = 0; second < run.seconds; ++second) {
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
  fmt::print("storage_rss_mib {}\n", static_cast<double>(proc_value("/proc/self/status", "VmHWM:")) / 1024);
  fmt::print("storage_written_per_sample {}\n",
             static_cast<double>(proc_value("/proc/self/io", "wchar:") - written_before) / count);
  fmt::print("storage_cpu_us_per_sample {}\n", spent_us / count);
  fmt::print("storage_commit_longest_ms {}\n", longest_ms);
}

void sizes(const std::filesystem::path& path) {
  storage::Connection connection = need(storage::open_history(path));
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
  each("storage_bytes_per_sample", all - free - tail);
  each("storage_file_chunk_bytes_per_sample", bytes("'chunk'"));
  each("storage_file_minute_bytes_per_sample", bytes("'roll_1m'"));
  each("storage_file_hour_bytes_per_sample", bytes("'roll_1h'"));
  const auto wal = static_cast<std::int64_t>(std::filesystem::file_size(path.string() + "-wal"));
  fmt::print("storage_tail_bytes {}\nstorage_free_bytes {}\nstorage_wal_bytes {}\n", tail, free, wal);
  fmt::print("storage_overhead_bytes {}\n", tail + free + wal);
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

void read_back(const Run& run) {
  storage::Connection connection = need(storage::open_history(run.path));
  storage::HistoryReader reader(connection);
  std::map<std::string, std::int64_t> id_of;
  for (const auto& each : need(reader.series("")))
    id_of[each.description.labels] = each.id;
  std::vector<bench::Feed> feeds = bench::feeds_of(run.series, run.start_ms);
  for (std::size_t h = 0; h < feeds.size(); ++h) {
    std::vector<std::int64_t> ids;
    for (std::size_t s = 0; s < feeds[h].count; ++s)
      ids.push_back(id_of.at(fmt::format("host=\"{}\",sensor=\"{}\"", h, s)));
    const auto points = need(reader.raw(ids, {}, SIZE_MAX));
    for (std::int64_t second = 0; second < run.seconds; ++second) {
      feeds[h].tick(second);
      for (std::size_t s = 0; s < feeds[h].count; ++s) {
        if (points[s].size() != static_cast<std::size_t>(run.seconds)) fail("samples are missing");
        const storage::Point& point = points[s][static_cast<std::size_t>(second)];
        const double step = run.declared ? step_of(feeds[h].shapes[s]) : 0;
        const bool same = std::bit_cast<std::uint64_t>(point.value) == std::bit_cast<std::uint64_t>(feeds[h].values[s]);
        const bool near = std::fabs(point.value - feeds[h].values[s]) <= step / 2 * (1 + 1e-9);
        if (point.wall_ms != feeds[h].stamp_ms || !(step > 0 ? near : same)) fail("a sample differs");
      }
    }
  }
}

void queries(const Run& run) {
  storage::Connection connection = need(storage::open_history(run.path));
  storage::HistoryReader reader(connection);
  const std::int64_t end_ms = run.start_ms + run.seconds * 1000;
  std::vector<std::int64_t> ids;
  for (const auto& each : need(reader.series("perjoule_sensor_power_watts")))
    ids.push_back(each.id);
  const std::span all(ids);
  const storage::Range six_hours{end_ms - 6 * storage::hour_ms, end_ms};
  time("query_6h_raw_in_process_ms", [&] {
    if (need(reader.raw(all.first(1), six_hours, 1 << 20))[0].size() < 21'600) fail("raw points are missing");
  });
  time("query_6h_minute_in_process_ms", [&] {
    if (need(reader.buckets(all.first(1), six_hours, storage::Resolution::minute, 1 << 20))[0].size() < 360) {
      fail("minutes are missing");
    }
  });
  const storage::Range five_minutes{end_ms - 300'000, end_ms};
  time("query_100x5m_in_process_ms", [&] {
    const auto points = need(reader.raw(all.first(100), five_minutes, 1 << 20));
    if (points[99].size() < 299) fail("raw points are missing");
  });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) return 2;
  // As in the daemon.
  mallopt(M_TRIM_THRESHOLD, 4 << 20);
  mallopt(M_MMAP_THRESHOLD, 4 << 20);
  const Run run{std::filesystem::path(argv[1]) / "history.db", std::strtoul(argv[2], nullptr, 10),
                std::strtol(argv[3], nullptr, 10), std::strtol(argv[4], nullptr, 10),
                std::string_view(argv[5]) == "declared"};
  ingest(run);
  {
    storage::Notes notes;  // opened for writing again, so that there is a WAL beside the file
    auto store = need(storage::SqliteStore::open(run.path, run.start_ms, notes));
    need(store->append({}));
    sizes(run.path);
  }
  read_back(run);
  if (run.seconds >= 6 * 3600 && !run.declared) queries(run);
}
