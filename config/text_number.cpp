#include <charconv>
#include <cmath>
#include <cstring>
#include <iterator>

#include "config/text.hpp"

namespace perjoule::text {
namespace {

// 2^53 is 9.007e15: below 9e15 every whole double is an exact integer.
constexpr double whole_max = 9e15;
// Two different decimals of at most 15 digits are never the same double. So a decimal that gives the double back is the
// one that was meant, if all its digits fit: 1e15 thousandths, and 9 digits before six decimals.
constexpr double thousandths_max = 1e15;
constexpr double millionths_max = 1e9;
constexpr double millionths_min = 1e-3;  // below it the shortest form may have an exponent

constexpr std::array<char, 200> digit_pairs = [] {
  std::array<char, 200> digits{};
  for (std::size_t n = 0; n < 100; ++n) {
    digits[2 * n] = static_cast<char>('0' + n / 10);
    digits[2 * n + 1] = static_cast<char>('0' + n % 10);
  }
  return digits;
}();

// "NaN", "+Inf" or "-Inf".
std::string_view not_finite(double value) {
  if (std::isnan(value)) return "NaN";
  return value > 0 ? "+Inf" : "-Inf";
}

// The digits of a number below 10,000.
char* put_small(char* to, std::uint32_t value) {
  if (value >= 1000) return put_two_digits(put_two_digits(to, value / 100), value % 100);
  if (value >= 100) return put_three_digits(to, value);
  if (value >= 10) return put_two_digits(to, value);
  *to = static_cast<char>('0' + value);
  return to + 1;
}

char* put_whole(char* to, std::uint64_t value) {
  if (value < 10'000) return put_small(to, static_cast<std::uint32_t>(value));
  return put_integer(to, static_cast<std::int64_t>(value));
}

// The point and the digits of `thousandths` (below 1000) without trailing zeros; nothing for 0. Writes four bytes in
// any case and returns the end of those that count: a branch on the number of digits would often be mispredicted.
char* put_decimals(char* to, std::uint32_t thousandths) {
  *to = '.';
  put_three_digits(to + 1, thousandths);
  const std::uint32_t tens = thousandths / 10;
  const std::uint32_t hundreds = thousandths / 100;
  return to + (thousandths != 0 ? 2 : 0) + (hundreds * 100 != thousandths ? 1 : 0) + (tens * 10 != thousandths ? 1 : 0);
}

// The point and up to six digits, without trailing zeros.
char* put_millionths(char* to, std::uint32_t millionths) {
  *to++ = '.';
  for (std::uint32_t unit = 100'000; millionths > 0; millionths %= unit, unit /= 10)
    *to++ = static_cast<char>('0' + millionths / unit);
  return to;
}

// Any finite number without an exponent: the shortest digits, with the point where the exponent puts it.
void append_without_exponent(std::string& out, double value) {
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
  // Removes the point of "d.ddd", in place, by moving the first digit one byte to the right.
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

}  // namespace

char* put_integer(char* to, std::int64_t value) {
  return std::to_chars(to, to + 24, value).ptr;
}

char* put_two_digits(char* to, std::uint32_t value) {
  std::memcpy(to, &digit_pairs[std::size_t{2} * value], 2);
  return to + 2;
}

char* put_three_digits(char* to, std::uint32_t value) {
  *to = static_cast<char>('0' + value / 100);
  return put_two_digits(to + 1, value % 100);
}

char* put_common(char* to, double value) {
  const double magnitude = std::fabs(value);
  const double scaled = magnitude * 1000;
  if (scaled < thousandths_max) {
    const auto thousandths = static_cast<std::uint64_t>(std::llrint(scaled));
    if (static_cast<double>(thousandths) / 1000 == magnitude) {
      if (std::signbit(value)) *to++ = '-';
      const std::uint64_t whole = thousandths / 1000;
      return put_decimals(put_whole(to, whole), static_cast<std::uint32_t>(thousandths - whole * 1000));
    }
    if (magnitude < millionths_min || magnitude >= millionths_max) return nullptr;
    const auto millionths = static_cast<std::uint64_t>(std::llrint(magnitude * 1e6));
    if (static_cast<double>(millionths) / 1e6 != magnitude) return nullptr;
    if (std::signbit(value)) *to++ = '-';
    const std::uint64_t whole = millionths / 1'000'000;
    return put_millionths(put_whole(to, whole), static_cast<std::uint32_t>(millionths - whole * 1'000'000));
  }
  if (!(magnitude < whole_max)) return nullptr;
  const auto whole = static_cast<std::int64_t>(value);
  return static_cast<double>(whole) == value ? put_integer(to, whole) : nullptr;
}

void append_number(std::string& out, double value) {
  char text[32];
  if (const char* const end = put_common(text, value)) {
    out.append(text, static_cast<std::size_t>(end - text));
  } else {
    append_shortest(out, value);
  }
}

void append_decimal(std::string& out, double value) {
  char text[32];
  if (const char* const end = put_common(text, value)) {
    out.append(text, static_cast<std::size_t>(end - text));
  } else if (std::isfinite(value)) {
    append_without_exponent(out, value);
  } else {
    out += not_finite(value);
  }
}

std::string decimal(double value) {
  std::string out;
  append_decimal(out, value);
  return out;
}

std::string scientific(double value) {
  if (!std::isfinite(value)) return std::string(not_finite(value));
  char text[32];
  return {text, std::to_chars(text, std::end(text), value, std::chars_format::scientific).ptr};
}

void append_shortest(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += not_finite(value);
    return;
  }
  char text[32];
  out.append(text, std::to_chars(text, std::end(text), value).ptr);
}

}  // namespace perjoule::text
