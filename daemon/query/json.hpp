// Samples in JSON as Prometheus' API writes them, at the end of a string. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace perjoule::query {

// Seconds with as many decimals as the milliseconds ask for: none or three.
void append_time(std::string& out, std::int64_t ms);

// [1700000000.250,"3.5"]
void append_sample(std::string& out, std::int64_t ms, double value);

// Writes many samples as append_sample() does, with commas between them. Samples are most of an answer, so it collects
// them in a buffer of its own; all of them are in `out` once it is destroyed.
class SampleWriter {
 public:
  explicit SampleWriter(std::string& out) : out_(out) {}
  ~SampleWriter() { flush(); }
  SampleWriter(const SampleWriter&) = delete;
  SampleWriter& operator=(const SampleWriter&) = delete;

  void add(std::int64_t ms, double value);

 private:
  static constexpr std::size_t sample_bytes_max = 96;

  char* put_timestamp(char* to, std::int64_t ms);
  void flush();

  std::string& out_;
  std::array<char, 1024> held_{};
  std::size_t used_ = 0;
  bool first_ = true;
  // The digits that the timestamp before began with: most begin with the same ones.
  std::int64_t prefix_ = -1;
  std::array<char, 24> prefix_text_{};
  std::size_t prefix_size_ = 0;
};

}  // namespace perjoule::query
