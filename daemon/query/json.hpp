// Appends samples to a string as JSON, in the form of Prometheus' API: seconds as a number, the value as a string.
// Timestamps are milliseconds since 1970. Pure; any thread, one writer per string at a time.
#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace perjoule::query {

// Seconds, with three decimals unless the milliseconds are 0.
void append_time(std::string& out, std::int64_t ms);

// [1700000000.250,"3.5"]
void append_sample(std::string& out, std::int64_t ms, double value);

// Writes many samples as append_sample() does, with commas between them. Samples are most of an answer, so speed
// matters: it collects them in a buffer of its own. `out` is complete only after the writer is destroyed.
class SampleWriter {
 public:
  explicit SampleWriter(std::string& out) : out_(out) {}
  ~SampleWriter() { flush(); }
  SampleWriter(const SampleWriter&) = delete;
  SampleWriter& operator=(const SampleWriter&) = delete;

  void add(std::int64_t ms, double value);

 private:
  static constexpr std::size_t sample_bytes_max = 96;  // generous: timestamp, value of put_common() and punctuation

  char* put_timestamp(char* to, std::int64_t ms);
  void flush();

  std::string& out_;
  std::array<char, 1024> held_{};
  std::size_t used_ = 0;
  bool first_ = true;
  // The leading digits of the previous timestamp, as a number and as text: most timestamps begin with the same ones.
  std::int64_t prefix_ = -1;
  std::array<char, 24> prefix_text_{};
  std::size_t prefix_size_ = 0;
};

}  // namespace perjoule::query
