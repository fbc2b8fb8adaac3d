// What the history's tail costs: an hour of a thousand series at one sample a second, through the writer's thread as
// the daemon drives it, committed every five seconds. Argument: an empty directory on the disk to measure.
//
// The data are those of twenty devices of fifty series: temperatures that walk in steps of a quarter or a whole degree,
// powers that are never the same twice, fans, energy counters, limits that stay.
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <mutex>
#include <random>
#include <string>
#include <vector>

#include "storage/writer.hpp"

namespace {

using namespace perjoule;

constexpr std::uint32_t groups = 20;
constexpr std::uint32_t series_per_group = 50;
constexpr int hour_seconds = 3600;
constexpr int commit_seconds = 5;
constexpr std::int64_t start_ms = 1'754'000'000'000;

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

struct Shape {
  const char* metric;
  Unit unit;
  Kind kind;
};

// One of ten shapes; a device has each five times.
constexpr std::array<Shape, 10> shapes = {{{"perjoule_temperature_celsius", Unit::celsius, Kind::gauge},
                                           {"perjoule_temperature_celsius", Unit::celsius, Kind::gauge},
                                           {"perjoule_temperature_celsius", Unit::celsius, Kind::gauge},
                                           {"perjoule_sensor_power_watts", Unit::watt, Kind::gauge},
                                           {"perjoule_sensor_power_watts", Unit::watt, Kind::gauge},
                                           {"perjoule_sensor_energy_joules_total", Unit::joule, Kind::counter},
                                           {"perjoule_sensor_energy_joules_total", Unit::joule, Kind::counter},
                                           {"perjoule_fan_speed_rpm", Unit::rpm, Kind::gauge},
                                           {"perjoule_temperature_limit_celsius", Unit::celsius, Kind::gauge},
                                           {"perjoule_temperature_limit_celsius", Unit::celsius, Kind::gauge}}};

class Device {
 public:
  explicit Device(std::uint32_t seed) : random_(seed) {}

  double next(std::size_t index, double last) {
    const auto roll = static_cast<std::int64_t>(random_() >> 33U);
    switch (index % shapes.size()) {
      case 0:
        return last + (roll % 4 == 0 ? 1.0 : roll % 4 == 1 ? -1.0 : 0.0);
      case 1:
      case 2:
        return last + static_cast<double>(roll % 3 - 1) * 0.25;
      case 3:
      case 4:
        return static_cast<double>(80'000'000 + roll % 20'000'000) / 1e6;
      case 5:
      case 6:
        return (std::round(last * 1e6) + static_cast<double>(80'000'000 + roll % 20'000'000)) / 1e6;
      case 7:
        return 4200 + static_cast<double>(roll % 40);
      default:
        return 95;
    }
  }

 private:
  std::mt19937_64 random_;
};

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

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const std::filesystem::path directory = argv[1];
  Loop loop;
  const auto note = [](const std::string& line) { fmt::print(stderr, "{}\n", line); };
  double spent_us = 0;
  std::uint64_t samples = 0;
  std::uint64_t written = 0;
  {
    storage::Writer writer(storage::files_in(
                               directory, [] { return start_ms; }, note),
                           nullptr, {}, [&](const std::function<void()>& task) { loop.post(task); });
    std::vector<std::vector<Sample>> last(groups);
    std::vector<Device> devices;
    for (std::uint32_t g = 0; g < groups; ++g) {
      const std::string device = "device_" + std::to_string(g);
      writer.describe(storage::GroupDescription{storage::GroupId{g}, "bench", device, 1000});
      devices.emplace_back(g);
      for (std::uint32_t s = 0; s < series_per_group; ++s) {
        const auto id = static_cast<SeriesId>(g * series_per_group + s);
        const Shape& shape = shapes[s % shapes.size()];
        const std::string labels = fmt::format("chip=\"{}\",sensor=\"sensor {}\"", device, s);
        writer.describe(storage::SeriesDescription{id, shape.metric, labels, shape.unit, shape.kind});
        last[g].push_back({id, 60});
      }
    }
    loop.commit(writer, 0);
    const std::uint64_t written_before = written_bytes();
    for (int second = 0; second < hour_seconds; ++second) {
      std::vector<storage::Tick> ticks;
      for (std::uint32_t g = 0; g < groups; ++g) {
        for (std::size_t s = 0; s < last[g].size(); ++s)
          last[g][s].value = devices[g].next(s, last[g][s].value);
        ticks.push_back({storage::GroupId{g}, start_ms + second * 1000LL + g % 3, last[g]});
        samples += last[g].size();
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
