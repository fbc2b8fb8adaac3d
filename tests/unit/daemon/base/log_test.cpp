#include "daemon/base/log.hpp"

#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <random>
#include <string>

#include "config/json_reader.hpp"
#include "config/utf8.hpp"
#include "daemon/record/series.hpp"
#include "tests/fakes/readings.hpp"

using namespace perjoule;

namespace {

constexpr std::int64_t wall_ms = 1'795'424'400'007;

std::string logfmt(std::string_view message, std::initializer_list<Log::Field> fields = {}) {
  return format_line(config::LogFormat::logfmt, wall_ms, config::LogLevel::warn, message, fields);
}

// An object whose values are strings: a JSON log line.
std::optional<std::map<std::string, std::string>> json_object(std::string_view text) {
  const config::json::Document document = config::json::read(text);
  if (!document.root || !document.problems.empty()) return std::nullopt;
  std::map<std::string, std::string> object;
  for (const config::json::Value& member : document.root->items)
    object.emplace(member.key, member.text);
  return object;
}

}  // namespace

TEST_CASE("a logfmt line quotes values that are not plain words") {
  CHECK(logfmt("source") == "time=2026-11-23T09:00:00.007Z level=warn msg=source");
  CHECK(logfmt("two words", {{"path", "/sys/a=b"}, {"why", ""}, {"device", "package-0"}}) ==
        R"(time=2026-11-23T09:00:00.007Z level=warn msg="two words" path="/sys/a=b" device=package-0)");
  CHECK(logfmt("a", {{"k", "x\ny\"z\\"}}).ends_with(R"(k="x\ny\"z\\")"));
}

TEST_CASE("control bytes in a device's name are escaped, so that a log line stays one line") {
  for (int byte = 1; byte < 256; ++byte) {
    const std::string text(1, static_cast<char>(byte));
    const std::string line = logfmt("m", {{"device", text}});
    const std::string value = line.substr(line.find("device=") + 7);
    if (byte < 0x20 || byte == 0x7F) {
      CHECK(value.starts_with("\"\\"));
      CHECK(value.find(text) == std::string::npos);
    }
    if (byte >= 0x80) CHECK(value == "\"\xEF\xBF\xBD\"");
    for (char c : line)
      CHECK((static_cast<unsigned char>(c) >= 0x20));
  }
}

TEST_CASE("a JSON line reads back, whatever bytes the fields contain") {
  std::mt19937_64 random(51);
  for (int round = 0; round < 5000; ++round) {
    const std::string value = hostile(random, "\"\\\n\t\x1B\x7F{}[],: a\xC3\xA9\xE2\x82\xAC\xFF", 60);
    const std::string line =
        format_line(config::LogFormat::json, wall_ms, config::LogLevel::error, "source", {{"why", value}, {"n", "1"}});
    const auto object = json_object(line);
    REQUIRE(object);
    REQUIRE(object->at("level") == "error");
    REQUIRE(object->at("time") == "2026-11-23T09:00:00.007Z");
    REQUIRE(object->at("n") == "1");
    std::string valid;
    for (std::string_view rest = value; !rest.empty();) {
      const std::size_t length = utf8_length(rest);
      valid += length == 0 ? std::string_view("\xEF\xBF\xBD") : rest.substr(0, length);
      rest.remove_prefix(length == 0 ? 1 : length);
    }
    REQUIRE((valid.empty() ? !object->contains("why") : object->at("why") == valid));
  }
}

TEST_CASE("for journald every line of a message has a priority") {
  CHECK(with_priority(config::LogLevel::debug, "a\n") == "<7>a\n");
  CHECK(with_priority(config::LogLevel::info, "a") == "<6>a");
  CHECK(with_priority(config::LogLevel::warn, "a\nb\n") == "<4>a\n<4>b\n");
  CHECK(with_priority(config::LogLevel::error, "\na\n\nb") == "<3>\n<3>a\n<3>\n<3>b");
  CHECK(with_priority(config::LogLevel::error, "").empty());
}

TEST_CASE("stderr is the journal when its device and inode are those in JOURNAL_STREAM") {
  CHECK(is_journal("9:1234567", 9, 1234567));
  for (const char* other : {"", "9:1234568", "8:1234567", "9:1234567 ", "91234567", "9:", ":1234567"})
    CHECK_FALSE(is_journal(other, 9, 1234567));
}

TEST_CASE("a subject that changes each second is logged ten times in ten minutes; others are not affected") {
  LogRateLimit rate_limit;
  const auto second = [](std::int64_t n) { return n * 1'000'000'000; };
  int said = 0;
  for (std::int64_t n = 0; n < 3600; ++n) {
    const auto verdict = rate_limit.ask("hwmon coretemp", second(n));
    said += verdict != LogRateLimit::Verdict::hold ? 1 : 0;
    CHECK((verdict == LogRateLimit::Verdict::say_last) == (n % 600 == LogRateLimit::lines - 1));
    if (n % 60 == 0) CHECK(rate_limit.ask("rapl", second(n)) != LogRateLimit::Verdict::hold);
  }
  CHECK(said == 60);
}
