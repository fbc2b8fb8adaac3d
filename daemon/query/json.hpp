// JSON as Prometheus' API writes it, appended to a text. Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "daemon/query/promql/matcher.hpp"

namespace perjoule::query {

// With its quotes. What is not UTF-8 becomes U+FFFD.
void append_text(std::string& out, std::string_view text);

// The shortest decimal that reads back as the same double, never with an exponent; "NaN", "+Inf", "-Inf". No quotes.
void append_number(std::string& out, double value);

// Seconds with as many decimals as the milliseconds ask for: none or three.
void append_time(std::string& out, std::int64_t ms);

// [1700000000.250,"3.5"]
void append_sample(std::string& out, std::int64_t ms, double value);

// Samples are most of an answer. Writes many as append_sample() does, commas between; all are in `out` when it is gone.
class SampleWriter {
 public:
  explicit SampleWriter(std::string& out) : out_(out) {}
  ~SampleWriter() { flush(); }
  SampleWriter(const SampleWriter&) = delete;
  SampleWriter& operator=(const SampleWriter&) = delete;

  void add(std::int64_t ms, double value);

 private:
  static constexpr std::size_t sample_bytes_max = 96;

  char* put_stamp(char* to, std::int64_t ms);
  void flush();

  std::string& out_;
  std::array<char, 1024> held_{};
  std::size_t used_ = 0;
  bool first_ = true;
  // The digits that the stamp before began with: most begin with the same.
  std::int64_t prefix_ = -1;
  std::array<char, 24> prefix_text_{};
  std::size_t prefix_size_ = 0;
};

// {"__name__":"power","gpu":"0"}
void append_labels(std::string& out, const Labels& labels);

}  // namespace perjoule::query
