#include "daemon/query/json.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "config/utf8.hpp"

namespace perjoule::query {
namespace {

// As many digits as a double keeps for certain: a decimal of no more that reads back is the only one, so the shortest.
constexpr double exact_max = 1e15;

void append_integer(std::string& out, std::int64_t value) {
  char text[24];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  out.append(text, static_cast<std::size_t>(end - text));
}

// `thousandths` / 1000, without zeros at the end.
void append_thousandths(std::string& out, std::int64_t thousandths) {
  if (thousandths < 0) out += '-';
  const std::int64_t size = thousandths < 0 ? -thousandths : thousandths;
  append_integer(out, size / 1000);
  auto rest = static_cast<int>(size % 1000);
  if (rest == 0) return;
  char digits[3] = {static_cast<char>('0' + rest / 100), static_cast<char>('0' + rest / 10 % 10),
                    static_cast<char>('0' + rest % 10)};
  std::size_t length = 3;
  while (digits[length - 1] == '0')
    --length;
  out += '.';
  out.append(digits, length);
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
  std::string digits(number.substr(0, 1));
  if (mark > 2) digits += number.substr(2, mark - 2);
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
    out.append(digits, 0, whole);
    out += '.';
    out.append(digits, whole);
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
  // Most readings are whole, or have up to three decimals.
  const double scaled = value * 1000;
  if (std::fabs(scaled) < exact_max && value != 0) {
    const auto thousandths = static_cast<std::int64_t>(std::llrint(scaled));
    if (static_cast<double>(thousandths) / 1000 == value) return append_thousandths(out, thousandths);
  }
  append_shortest(out, value);
}

void append_time(std::string& out, std::int64_t ms) {
  if (ms < 0) out += '-';
  const std::int64_t size = ms < 0 ? -ms : ms;
  append_integer(out, size / 1000);
  const auto rest = static_cast<int>(size % 1000);
  if (rest == 0) return;
  const char digits[4] = {'.', static_cast<char>('0' + rest / 100), static_cast<char>('0' + rest / 10 % 10),
                          static_cast<char>('0' + rest % 10)};
  out.append(digits, sizeof digits);
}

void append_sample(std::string& out, std::int64_t ms, double value) {
  out += '[';
  append_time(out, ms);
  out += ",\"";
  append_number(out, value);
  out += "\"]";
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
