#include "daemon/http/retry_after.hpp"

#include <doctest/doctest.h>

using namespace perjoule;

namespace {

constexpr std::int64_t now_ms = 1'795'514'400'000;  // 2026-11-24T10:00:00Z

std::optional<std::int64_t> seconds(std::string retry_after, std::string date = {}) {
  http::Answer answer;
  answer.retry_after = std::move(retry_after);
  answer.date = std::move(date);
  const auto ms = http::retry_after_ms(answer, now_ms);
  return ms ? std::optional(*ms / 1000) : std::nullopt;
}

}  // namespace

TEST_CASE("Retry-After in seconds, and as a date of any form") {
  CHECK(seconds("120") == 120);
  CHECK(seconds("0") == 0);
  CHECK(seconds("99999999999999999999999") == 1'000'000'000);
  CHECK(seconds("Tue, 24 Nov 2026 10:00:30 GMT") == 30);
  CHECK(seconds("Tuesday, 24-Nov-26 10:00:30 GMT") == 30);
  CHECK(seconds("Tue Nov 24 10:00:30 2026") == 30);
  CHECK(seconds("Tue Nov  4 10:00:30 2026") == 0);  // has passed
}

TEST_CASE("Retry-After as a date is compared with the server's own clock") {
  CHECK(seconds("Tue, 24 Nov 2026 12:00:30 GMT", "Tue, 24 Nov 2026 12:00:00 GMT") == 30);
  CHECK(seconds("Tue, 24 Nov 2026 10:00:30 GMT", "no date") == 30);
}

TEST_CASE("Retry-After that cannot be read is ignored") {
  for (const char* text : {"", "soon", "-1", "1.5", "1 s", "Tue, 24 Nov 2026 10:00:30", "Tue, 31 Feb 2026 10:00:30 GMT",
                           "Tue, 24 Nov 2026 24:00:30 GMT", "24 Nov 2026", "Tue, 24 Foo 2026 10:00:30 GMT",
                           "Tue, 24 Nov 2026 10:00:30 GMT GMT", "Tue, 024 Nov 2026 10:00:30 GMT"})
    CHECK(!seconds(text));
}
