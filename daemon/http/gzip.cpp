#include "daemon/http/gzip.hpp"

#define ZLIB_CONST
#include <zlib.h>

#include <algorithm>
#include <limits>
#include <new>
#include <optional>

#include "config/text.hpp"

namespace perjoule::http {
namespace {

constexpr int gzip_window = 15 + 16;  // the largest window; + 16 selects the gzip header and trailer
constexpr int memory_level = 8;       // zlib's default

std::string_view trimmed(std::string_view text) {
  auto first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

// Returns the part after the first `mark` and cuts `text` before it.
std::string_view split(std::string_view& text, char mark) {
  auto at = text.find(mark);
  auto rest = at == std::string_view::npos ? std::string_view{} : text.substr(at + 1);
  text = trimmed(text.substr(0, at));
  return rest;
}

// A weight is "0" or "1" and up to three decimals (RFC 9110 12.4.2). A malformed weight counts as 0.
bool weight_admits(std::string_view parameter) {
  parameter = trimmed(parameter);
  if (parameter.empty()) return true;
  auto value = trimmed(split(parameter, '='));
  if (!text::equal_ignoring_case(parameter, "q") || value.empty() || value.size() > 5) return false;
  if (value.find_first_not_of("0123456789.") != std::string_view::npos) return false;
  if (value.size() > 1 && value[1] != '.') return false;
  return value[0] == '1' || (value[0] == '0' && value.find_first_of("123456789") != std::string_view::npos);
}

}  // namespace

std::string gzip(std::string_view text, int level) {
  z_stream stream{};
  if (deflateInit2(&stream, std::clamp(level, 1, 9), Z_DEFLATED, gzip_window, memory_level, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  std::string packed(deflateBound(&stream, text.size()), '\0');
  // zlib's lengths are unsigned int, so longer input is passed in parts.
  constexpr std::size_t part_bytes = std::numeric_limits<uInt>::max();
  std::size_t written = 0;
  int status = Z_OK;
  while (status == Z_OK) {
    auto part = text.substr(0, part_bytes);
    stream.next_in = reinterpret_cast<const Bytef*>(part.data());
    stream.avail_in = static_cast<uInt>(part.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data() + written);
    stream.avail_out = static_cast<uInt>(std::min(packed.size() - written, part_bytes));
    auto room = stream.avail_out;
    status = deflate(&stream, part.size() == text.size() ? Z_FINISH : Z_NO_FLUSH);
    written += room - stream.avail_out;
    text.remove_prefix(part.size() - stream.avail_in);
  }
  deflateEnd(&stream);
  packed.resize(written);
  packed.shrink_to_fit();
  return packed;
}

bool accepts_gzip(std::string_view accept_encoding) {
  std::optional<bool> gzip;
  std::optional<bool> any;
  while (!accept_encoding.empty()) {
    auto coding = accept_encoding;
    accept_encoding = split(coding, ',');
    bool admitted = weight_admits(split(coding, ';'));
    if (text::equal_ignoring_case(coding, "gzip") || text::equal_ignoring_case(coding, "x-gzip"))
      gzip = gzip.value_or(admitted);
    if (coding == "*") any = any.value_or(admitted);
  }
  return gzip.value_or(any.value_or(false));
}

}  // namespace perjoule::http
