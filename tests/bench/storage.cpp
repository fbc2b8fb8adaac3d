// Measures size and speed of the codec of sealed chunks with six hours of tests/bench/feed.hpp in slots of 15 minutes.
// Every value is read back and compared, bit for bit or within half the declared step.
#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include "storage/codec/chunk.hpp"
#include "tests/bench/feed.hpp"

namespace {

using namespace perjoule;

constexpr std::size_t series_count = 1000;
constexpr std::size_t slot_ticks = 900;
constexpr int slots = 24;
constexpr std::int64_t start_ms = bench::telemetry_start_ms;

double cpu_us() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

// The step that a metric may declare, far below its sensor's error; 0: lossless.
double resolution_of(bench::Shape shape) {
  using bench::Shape;
  if (shape == Shape::power_milliwatt) return 0.1;
  return bench::is_energy(shape) ? 1 : 0;
}

[[noreturn]] void fail(const char* what) {
  fmt::print(stderr, "{}\n", what);
  std::exit(1);
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
  if (!reader.open(chunk) || !reader.stamps(stamps_ms) || stamps_ms != block.stamps_ms) fail("timestamps differ");
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

int main() {
  codec_figures();
}
