#include "daemon/query/json.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>
#include <cstring>

#include "config/utf8.hpp"

namespace perjoule::query {
namespace {

// As many digits as a double keeps for certain: a decimal of no more that reads back is the only one, so the shortest.
constexpr double exact_max = 1e15;

constexpr std::int64_t prefix_ms = 10'000'000;  // of stamps that share all digits but the last four of their seconds

constexpr std::array<char, 200> pairs = [] {
  std::array<char, 200> digits{};
  for (std::size_t n = 0; n < 100; ++n) {
    digits[2 * n] = static_cast<char>('0' + n / 10);
    digits[2 * n + 1] = static_cast<char>('0' + n % 10);
  }
  return digits;
}();

// Each of these returns the end of what it wrote.
char* put_integer(char* to, std::int64_t value) {
  return std::to_chars(to, to + 24, value).ptr;
}

// The two digits of a number below 100.
char* put_pair(char* to, std::uint32_t value) {
  std::memcpy(to, &pairs[std::size_t{2} * value], 2);
  return to + 2;
}

// The three digits of a number below 1000.
char* put_three(char* to, std::uint32_t value) {
  *to = static_cast<char>('0' + value / 100);
  return put_pair(to + 1, value % 100);
}

char* put_time(char* to, std::int64_t ms) {
  if (ms < 0) *to++ = '-';
  const std::int64_t size = ms < 0 ? -ms : ms;
  to = put_integer(to, size / 1000);
  if (size % 1000 == 0) return to;
  *to++ = '.';
  return put_three(to, static_cast<std::uint32_t>(size % 1000));
}

// The point and the digits of `thousandths` below 1000, without zeros at their end: what is written beyond the end that
// this returns does not count. Without a branch, for how many there are is anyone's guess.
char* put_decimals(char* to, std::uint32_t thousandths) {
  *to = '.';
  put_three(to + 1, thousandths);
  const std::uint32_t tens = thousandths / 10;
  const std::uint32_t hundreds = thousandths / 100;
  return to + (thousandths != 0 ? 2 : 0) + (hundreds * 100 != thousandths ? 1 : 0) + (tens * 10 != thousandths ? 1 : 0);
}

// The digits of a number below 10,000.
char* put_small(char* to, std::uint32_t value) {
  if (value >= 1000) return put_pair(put_pair(to, value / 100), value % 100);
  if (value >= 100) return put_three(to, value);
  if (value >= 10) return put_pair(to, value);
  *to = static_cast<char>('0' + value);
  return to + 1;
}

// Most readings are whole, or have up to three decimals. Null for any other number.
char* put_short(char* to, double value) {
  const double scaled = value * 1000;
  if (!(std::fabs(scaled) < exact_max) || value == 0) return nullptr;
  const std::int64_t thousandths = std::llrint(scaled);
  if (static_cast<double>(thousandths) / 1000 != value) return nullptr;
  if (thousandths < 0) *to++ = '-';
  const auto size = static_cast<std::uint64_t>(thousandths < 0 ? -thousandths : thousandths);
  const std::uint64_t whole = size / 1000;
  to = whole < 10'000 ? put_small(to, static_cast<std::uint32_t>(whole))
                      : put_integer(to, static_cast<std::int64_t>(whole));
  return put_decimals(to, static_cast<std::uint32_t>(size - whole * 1000));
}

// Any finite number: the shortest digits, the point put where the exponent says.
void append_shortest(std::string& out, double value) {
  char text[40];
  char* const end = std::to_chars(text, text + sizeof text, value, std::chars_format::scientific).ptr;
  std::string_view number(text, static_cast<std::size_t>(end - text));
  if (number.front() == '-') {
    out += '-';
    number.remove_prefix(1);
  }
  const std::size_t mark = number.find('e');
  int exponent = 0;
  const char* const digits_of_exponent = number.data() + mark + (number[mark + 1] == '+' ? 2 : 1);
  std::from_chars(digits_of_exponent, number.data() + number.size(), exponent);
  // "d.ddd" without its point, in place.
  std::string_view digits = number.substr(0, 1);
  if (mark > 2) {
    text[number.data() - text + 1] = number.front();
    digits = number.substr(1, mark - 1);
  }
  if (exponent < 0) {
    out += "0.";
    out.append(static_cast<std::size_t>(-exponent - 1), '0');
    out += digits;
    return;
  }
  const auto whole = static_cast<std::size_t>(exponent) + 1;
  if (digits.size() <= whole) {
    out += digits;
    out.append(whole - digits.size(), '0');
  } else {
    out += digits.substr(0, whole);
    out += '.';
    out += digits.substr(whole);
  }
}

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
  }
}

}  // namespace

void append_text(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const auto byte = static_cast<unsigned char>(text[i]);
    if (byte >= 0x80) {
      const std::size_t length = utf8_length(text.substr(i));
      out += length == 0 ? std::string_view("\xEF\xBF\xBD") : text.substr(i, length);
      i += length == 0 ? 1 : length;
      continue;
    }
    if (byte < 0x20 || byte == '"' || byte == '\\' || byte == 0x7F) {
      append_escaped(out, text[i]);
    } else {
      out += text[i];
    }
    ++i;
  }
  out += '"';
}

void append_number(std::string& out, double value) {
  if (std::isnan(value)) {
    out += "NaN";
    return;
  }
  if (std::isinf(value)) {
    out += value > 0 ? "+Inf" : "-Inf";
    return;
  }
  char text[32];
  if (const char* const end = put_short(text, value)) {
    out.append(text, static_cast<std::size_t>(end - text));
  } else {
    append_shortest(out, value);
  }
}

void append_time(std::string& out, std::int64_t ms) {
  char text[32];
  out.append(text, static_cast<std::size_t>(put_time(text, ms) - text));
}

void append_sample(std::string& out, std::int64_t ms, double value) {
  SampleWriter(out).add(ms, value);
}

char* SampleWriter::put_stamp(char* to, std::int64_t ms) {
  if (ms < prefix_ms) return put_time(to, ms);
  if (ms / prefix_ms != prefix_) {
    prefix_ = ms / prefix_ms;
    prefix_size_ = static_cast<std::size_t>(put_integer(prefix_text_.data(), prefix_) - prefix_text_.data());
  }
  std::memcpy(to, prefix_text_.data(), prefix_text_.size());
  const auto rest = static_cast<std::uint32_t>(ms % prefix_ms);
  to = put_pair(to + prefix_size_, rest / 100'000);
  to = put_pair(to, rest / 1000 % 100);
  if (rest % 1000 == 0) return to;
  *to++ = '.';
  return put_three(to, rest % 1000);
}

void SampleWriter::add(std::int64_t ms, double value) {
  if (used_ > held_.size() - sample_bytes_max) flush();
  char* to = held_.data() + used_;
  if (!first_) *to++ = ',';
  first_ = false;
  *to++ = '[';
  to = put_stamp(to, ms);
  *to++ = ',';
  *to++ = '"';
  if (char* const end = put_short(to, value)) {
    to = end;
  } else {
    used_ = static_cast<std::size_t>(to - held_.data());
    flush();
    append_number(out_, value);
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

void append_labels(std::string& out, const Labels& labels) {
  char separator = '{';
  for (const auto& [name, value] : labels) {
    out += separator;
    append_text(out, name);
    out += ':';
    append_text(out, value);
    separator = ',';
  }
  out += labels.empty() ? "{}" : "}";
}

}  // namespace perjoule::query
