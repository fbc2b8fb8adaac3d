#include "daemon/query/json.hpp"

#include <cstring>

#include "config/text.hpp"

namespace perjoule::query {
namespace {

// Timestamps within 10,000 s share all digits of their seconds except the last four.
constexpr std::int64_t prefix_ms = 10'000'000;

// Returns the end.
char* put_time(char* to, std::int64_t ms) {
  if (ms < 0) *to++ = '-';
  const std::int64_t size = ms < 0 ? -ms : ms;
  to = text::put_integer(to, size / 1000);
  if (size % 1000 == 0) return to;
  *to++ = '.';
  return text::put_three_digits(to, static_cast<std::uint32_t>(size % 1000));
}

}  // namespace

void append_time(std::string& out, std::int64_t ms) {
  char text[32];
  out.append(text, static_cast<std::size_t>(put_time(text, ms) - text));
}

void append_sample(std::string& out, std::int64_t ms, double value) {
  SampleWriter(out).add(ms, value);
}

char* SampleWriter::put_timestamp(char* to, std::int64_t ms) {
  if (ms < prefix_ms) return put_time(to, ms);
  if (ms / prefix_ms != prefix_) {
    prefix_ = ms / prefix_ms;
    prefix_size_ = static_cast<std::size_t>(text::put_integer(prefix_text_.data(), prefix_) - prefix_text_.data());
  }
  // Copies the whole array, because a constant size is faster; the bytes after prefix_size_ are overwritten.
  std::memcpy(to, prefix_text_.data(), prefix_text_.size());
  const auto rest = static_cast<std::uint32_t>(ms % prefix_ms);
  to = text::put_two_digits(to + prefix_size_, rest / 100'000);
  to = text::put_two_digits(to, rest / 1000 % 100);
  if (rest % 1000 == 0) return to;
  *to++ = '.';
  return text::put_three_digits(to, rest % 1000);
}

void SampleWriter::add(std::int64_t ms, double value) {
  if (used_ > held_.size() - sample_bytes_max) flush();
  char* to = held_.data() + used_;
  if (!first_) *to++ = ',';
  first_ = false;
  *to++ = '[';
  to = put_timestamp(to, ms);
  *to++ = ',';
  *to++ = '"';
  if (char* const end = text::put_common(to, value)) {
    to = end;
  } else {
    used_ = static_cast<std::size_t>(to - held_.data());
    flush();
    text::append_decimal(out_, value);
    to = held_.data();
  }
  *to++ = '"';
  *to++ = ']';
  used_ = static_cast<std::size_t>(to - held_.data());
}

void SampleWriter::flush() {
  out_.append(held_.data(), used_);
  used_ = 0;
}

}  // namespace perjoule::query
