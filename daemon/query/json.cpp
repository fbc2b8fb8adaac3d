#include "daemon/query/json.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "config/utf8.hpp"

namespace perjoule::query {
namespace {

// As many digits as a double keeps for certain: a decimal of no more that reads back is the only one, so the shortest.
constexpr double exact_max = 1e15;

// Samples are most of an answer: they are written to a buffer, and appended once. Each of these returns its end.
char* put_integer(char* to, std::int64_t value) {
  return std::to_chars(to, to + 24, value).ptr;
}

// The three digits of a number below 1000.
char* put_three(char* to, std::int64_t value) {
  const auto digits = static_cast<int>(value);
  to[0] = static_cast<char>('0' + digits / 100);
  to[1] = static_cast<char>('0' + digits / 10 % 10);
  to[2] = static_cast<char>('0' + digits % 10);
  return to + 3;
}

char* put_time(char* to, std::int64_t ms) {
  if (ms < 0) *to++ = '-';
  const std::int64_t size = ms < 0 ? -ms : ms;
  to = put_integer(to, size / 1000);
  if (size % 1000 == 0) return to;
  *to++ = '.';
  return put_three(to, size % 1000);
}

// Most readings are whole, or have up to three decimals. Null for any other number.
char* put_short(char* to, double value) {
  const double scaled = value * 1000;
  if (!(std::fabs(scaled) < exact_max) || value == 0) return nullptr;
  const std::int64_t thousandths = std::llrint(scaled);
  if (static_cast<double>(thousandths) / 1000 != value) return nullptr;
  if (thousandths < 0) *to++ = '-';
  const std::int64_t size = thousandths < 0 ? -thousandths : thousandths;
  to = put_integer(to, size / 1000);
  if (size % 1000 == 0) return to;
  *to++ = '.';
  to = put_three(to, size % 1000);
  while (to[-1] == '0')
    --to;
  return to;
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
  char text[80];
  text[0] = '[';
  char* end = put_time(text + 1, ms);
  *end++ = ',';
  *end++ = '"';
  if (char* const number_end = put_short(end, value)) {
    end = number_end;
  } else {
    out.append(text, static_cast<std::size_t>(end - text));
    append_number(out, value);
    end = text;
  }
  *end++ = '"';
  *end++ = ']';
  out.append(text, static_cast<std::size_t>(end - text));
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
