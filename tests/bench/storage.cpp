// What the history costs, on the telemetry of tests/bench/telemetry.hpp. Argument: an empty directory on the disk to
// measure.
//
// The tail: an hour of a thousand series at one sample a second, through the writer's thread as the daemon drives it,
// committed every five seconds. The codec of sealed chunks: six hours of the same in slots of 15 minutes; every value
// is read back and compared, bit for bit, or to half of the declared resolution.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <mutex>
#include <string>
#include <vector>

#include "storage/chunk.hpp"
#include "storage/writer.hpp"
#include "tests/bench/feed.hpp"

namespace {

using namespace perjoule;

constexpr std::size_t series_count = 1000;
constexpr int hour_seconds = 3600;
constexpr int commit_seconds = 5;
constexpr std::size_t slot_ticks = 900;
constexpr int slots = 24;
constexpr std::int64_t start_ms = bench::telemetry_start_ms;

double cpu_us() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

// Bytes that this process handed to the kernel; each commit is synchronous, so that they all go to the disk.
std::uint64_t written_bytes() {
  std::ifstream io("/proc/self/io");
  std::string name;
  std::uint64_t value = 0;
  while (io >> name >> value) {
    if (name == "wchar:") return value;
  }
  std::abort();
}

// What a metric may declare: far below its sensor's error. 0: without loss.
double resolution_of(bench::Shape shape) {
  using bench::Shape;
  if (shape == Shape::power_milliwatt) return 0.1;
  return bench::is_energy(shape) ? 1 : 0;
}

// The loop's part: runs what the writer posts, and waits for it.
class Loop {
 public:
  void post(const std::function<void()>& task) {
    const std::lock_guard lock(mutex_);
    task();
    changed_.notify_one();
  }
  void commit(storage::Writer& writer, std::uint64_t generation) {
    bool reported = false;
    writer.commit(generation, {}, true, [&](const storage::Report& report) {
      reported = true;
      if (report.history_committed && report.dropped_samples == 0) return;
      fmt::print(stderr, "a commit failed or lost samples: {}\n", report.error);
      std::exit(1);
    });
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return reported; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

[[noreturn]] void fail(const char* what) {
  fmt::print(stderr, "{}\n", what);
  std::exit(1);
}

void tail_figures(const std::filesystem::path& directory) {
  Loop loop;
  const auto note = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
  double spent_us = 0;
  std::uint64_t samples = 0;
  std::uint64_t written = 0;
  {
    storage::Writer writer(storage::files_in(
                               directory, [] { return start_ms; }, note),
                           nullptr, {}, [&](const std::function<void()>& task) { loop.post(task); });
    std::vector<bench::Feed> feeds = bench::feeds_of(series_count, start_ms);
    for (std::uint32_t h = 0; h < feeds.size(); ++h) {
      writer.describe(storage::GroupDescription{storage::GroupId{h}, "bench", fmt::format("host_{}", h), 1000});
      for (std::size_t s = 0; s < feeds[h].count; ++s) {
        const bench::Shape shape = feeds[h].shapes[s];
        writer.describe(storage::SeriesDescription{static_cast<SeriesId>(h * bench::host_series + s),
                                                   bench::metric_of(shape),
                                                   fmt::format("host=\"{}\",sensor=\"{}\"", h, s), Unit::none,
                                                   bench::is_energy(shape) ? Kind::counter : Kind::gauge});
      }
    }
    loop.commit(writer, 0);
    const std::uint64_t written_before = written_bytes();
    for (int second = 0; second < hour_seconds; ++second) {
      std::vector<storage::Tick> ticks;
      for (std::uint32_t h = 0; h < feeds.size(); ++h) {
        feeds[h].tick(second);
        ticks.push_back({storage::GroupId{h}, feeds[h].stamp_ms, {}});
        for (std::size_t s = 0; s < feeds[h].count; ++s)
          ticks.back().samples.push_back({static_cast<SeriesId>(h * bench::host_series + s), feeds[h].values[s]});
        samples += feeds[h].count;
      }
      const double before_us = cpu_us();
      for (storage::Tick& tick : ticks)
        writer.push(std::move(tick));
      if (second % commit_seconds == commit_seconds - 1) loop.commit(writer, static_cast<std::uint64_t>(second));
      spent_us += cpu_us() - before_us;
    }
    written = written_bytes() - written_before;
  }
  const auto stored = static_cast<double>(std::filesystem::file_size(directory / "history.db"));
  const auto count = static_cast<double>(samples);
  fmt::print("storage_tail_bytes_per_sample {}\n", stored / count);
  fmt::print("storage_cpu_us_per_sample_1k {}\n", spent_us / count);
  fmt::print("storage_written_per_sample_1k {}\n", static_cast<double>(written) / count);
}

bool is_within(double value, double truth, double step) {
  if (step > 0) return std::fabs(value - truth) <= step / 2 * (1 + 1e-9);
  return std::bit_cast<std::uint64_t>(value) == std::bit_cast<std::uint64_t>(truth);
}

void read_back(const std::string& chunk, const storage::GroupBlock& block, const std::vector<double>& steps) {
  storage::ChunkReader reader;
  std::vector<std::int64_t> stamps_ms;
  std::vector<double> values;
  std::vector<std::uint8_t> present;
  if (!reader.open(chunk) || !reader.stamps(stamps_ms) || stamps_ms != block.stamps_ms) fail("stamps differ");
  for (std::size_t c = 0; c < block.columns; ++c) {
    if (!reader.column(c, values, present)) fail("a column does not decode");
    for (std::size_t t = 0; t < values.size(); ++t) {
      if (present[t] != 1 || !is_within(values[t], block.values[c * values.size() + t], steps[c]))
        fail("a value differs");
    }
  }
}

struct Coded {
  std::uint64_t samples = 0;
  std::uint64_t bytes = 0;
  double encode_us = 0;
  double decode_us = 0;
};

Coded code(bool declared, storage::Effort effort) {
  Coded coded;
  storage::ChunkWriter writer;
  storage::GroupBlock block;
  std::string chunk;
  std::uint32_t host = 0;
  for (bench::Feed& feed : bench::feeds_of(series_count, start_ms)) {
    for (int slot = 0; slot < slots; ++slot) {
      block.reset(host, feed.count, slot_ticks);
      std::fill(block.present.begin(), block.present.end(), std::uint8_t{1});
      for (std::size_t t = 0; t < slot_ticks; ++t) {
        feed.tick(slot * static_cast<std::int64_t>(slot_ticks) + static_cast<std::int64_t>(t));
        block.stamps_ms[t] = feed.stamp_ms;
        for (std::size_t c = 0; c < feed.count; ++c)
          block.values[c * slot_ticks + t] = feed.values[c];
      }
      std::vector<double> steps;
      for (std::size_t c = 0; c < feed.count; ++c)
        steps.push_back(declared ? resolution_of(feed.shapes[c]) : 0);
      chunk.clear();
      const double begin_us = cpu_us();
      writer.encode(chunk, block, 1000, steps, effort);
      const double middle_us = cpu_us();
      read_back(chunk, block, steps);
      coded.decode_us += cpu_us() - middle_us;
      coded.encode_us += middle_us - begin_us;
      coded.bytes += chunk.size();
      coded.samples += block.values.size();
    }
    ++host;
  }
  return coded;
}

void codec_figures() {
  const auto print = [](const char* name, const Coded& coded) {
    const auto count = static_cast<double>(coded.samples);
    fmt::print("storage_chunk_bytes_per_sample{} {}\n", name, static_cast<double>(coded.bytes) / count);
    fmt::print("storage_chunk_encode_us_per_sample{} {}\n", name, coded.encode_us / count);
    fmt::print("storage_chunk_decode_us_per_sample{} {}\n", name, coded.decode_us / count);
  };
  print("", code(false, storage::Effort::thorough));
  print("_quick", code(false, storage::Effort::quick));
  print("_declared", code(true, storage::Effort::thorough));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  tail_figures(argv[1]);
  codec_figures();
}
