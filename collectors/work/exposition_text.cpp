#include "collectors/work/exposition_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <system_error>

#include "config/text.hpp"
#include "config/utf8.hpp"

namespace perjoule::exposition {

namespace {

struct TypeWord {
  std::string_view word;
  FamilyType type;
  bool text;
  bool openmetrics;
};
constexpr std::array type_words = {
    TypeWord{"gauge", FamilyType::gauge, true, true},
    TypeWord{"counter", FamilyType::counter, true, true},
    TypeWord{"histogram", FamilyType::histogram, true, true},
    TypeWord{"summary", FamilyType::summary, true, true},
    TypeWord{"untyped", FamilyType::untyped, true, false},
    TypeWord{"unknown", FamilyType::untyped, false, true},
    TypeWord{"info", FamilyType::info, false, true},
    TypeWord{"stateset", FamilyType::stateset, false, true},
    TypeWord{"gaugehistogram", FamilyType::gauge_histogram, false, true},
};

}  // namespace

std::optional<FamilyType> parse_type(std::string_view word, Dialect dialect) {
  for (const TypeWord& known : type_words) {
    if (word == known.word && (dialect == Dialect::text ? known.text : known.openmetrics)) return known.type;
  }
  return std::nullopt;
}

bool has_suffix(FamilyType type, Dialect dialect, std::string_view suffix) {
  const bool open = dialect == Dialect::openmetrics;
  switch (type) {
    case FamilyType::untyped:
    case FamilyType::gauge:
    case FamilyType::stateset:
      return suffix.empty();
    case FamilyType::counter:
      return open ? suffix == "_total" || suffix == "_created" : suffix.empty();
    case FamilyType::histogram:
      return suffix == "_bucket" || suffix == "_sum" || suffix == "_count" || (open && suffix == "_created");
    case FamilyType::summary:
      return suffix.empty() || suffix == "_sum" || suffix == "_count" || (open && suffix == "_created");
    case FamilyType::info:
      return suffix == "_info";
    case FamilyType::gauge_histogram:
      return suffix == "_bucket" || suffix == "_gsum" || suffix == "_gcount";
  }
  return false;
}

std::optional<double> parse_number(std::string_view token) {
  if (text::equal_ignoring_case(token, "nan")) return std::numeric_limits<double>::quiet_NaN();
  const bool is_signed = !token.empty() && (token.front() == '+' || token.front() == '-');
  const bool negative = is_signed && token.front() == '-';
  if (is_signed) token.remove_prefix(1);
  double value = std::numeric_limits<double>::infinity();
  if (!text::equal_ignoring_case(token, "inf") && !text::equal_ignoring_case(token, "infinity")) {
    if (token.empty() || ((token.front() < '0' || token.front() > '9') && token.front() != '.')) return std::nullopt;
    const auto [end, error] = std::from_chars(token.data(), token.data() + token.size(), value);
    if (error != std::errc() || end != token.data() + token.size()) return std::nullopt;
  }
  return negative ? -value : value;
}

std::string shown(std::string_view text) {
  std::string out = "'";
  for (char c : text.substr(0, 40)) {
    if (c >= ' ' && c <= '~') {
      out.push_back(c);
    } else {
      out += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  return out + (text.size() > 40 ? "...'" : "'");
}

std::size_t find_bad_byte(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = text[i] == '\0' ? 0 : utf8_length(text.substr(i));
    if (length == 0) return i;
    i += length;
  }
  return std::string_view::npos;
}

}  // namespace perjoule::exposition
