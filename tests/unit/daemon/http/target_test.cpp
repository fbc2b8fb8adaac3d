#include "daemon/http/target.hpp"

#include <doctest/doctest.h>

#include <initializer_list>
#include <random>
#include <string>
#include <utility>

using namespace perjoule::http;

namespace {

std::string escaped(std::string_view text) {
  static constexpr char hex[] = "0123456789abcdef";
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    out += {'%', hex[byte / 16], hex[byte % 16]};
  }
  return out;
}

}  // namespace

TEST_CASE("target: origin and absolute form") {
  auto target = decode_target("/api/v1/query?query=a+b%2Bc&time=1&&flag&time=2");
  REQUIRE(target);
  CHECK(target->path == "/api/v1/query");
  CHECK(target->query == Query{{"query", "a b+c"}, {"time", "1"}, {"flag", ""}, {"time", "2"}});
  CHECK(decode_target("/a+b%20c")->path == "/a+b c");
  CHECK(decode_target("http://host:1/metrics?x=%3d")->path == "/metrics");
  CHECK(decode_target("http://host:1/metrics?x=%3d")->query == Query{{"x", "="}});
  CHECK(decode_target("http://host")->path == "/");
  CHECK(decode_target("http://host:1/a?b=%20")->authority == "host:1");
  CHECK(decode_target("http://host:1/a?b=%20")->query_text == "b=%20");
  CHECK_FALSE(decode_target("/a?b=c")->authority);
  CHECK(decode_target("http://host?x=http://b/")->query == Query{{"x", "http://b/"}});
  CHECK(decode_target("/?u=http://b/c")->path == "/");
  CHECK(decode_target("/x?a=b=c?d")->query == Query{{"a", "b=c?d"}});
}

TEST_CASE("target: refused targets") {
  for (auto bad : {"", "*", "metrics", "?a=b", "host:80", "http://", "http:///a", "/%", "/%4", "/%zz", "/%4g", "/a%00b",
                   "/?a=%", "/?%q=1", "/?a=%00", "/a#b", "/a b", "/a\r\nb", "/\x7f"})
    CHECK_FALSE_MESSAGE(decode_target(bad), std::string(bad));
}

TEST_CASE("target: a slash that is escaped in the path separates nothing") {
  CHECK(decode_target("/api%2fv1/%71uery?a=%2f")->path == "/api%2Fv1/query");
  CHECK(decode_target("/api%2fv1/%71uery?a=%2f")->query == Query{{"a", "/"}});
  CHECK_FALSE(decode_target("%2fmetrics"));
}

TEST_CASE("target: paths are cleaned as Go's servers clean them") {
  const std::pair<const char*, const char*> cases[] = {
      {"/", "/"},   {"//", "/"},        {"/a", "/a"},        {"/a/", "/a/"}, {"//a//b", "/a/b"}, {"/./a/.", "/a"},
      {"/..", "/"}, {"/../../a", "/a"}, {"/a/../b/", "/b/"}, {"/a/..", "/"}, {"/a/b/..", "/a"},  {"/...", "/..."}};
  for (const auto& each : cases)
    CHECK_MESSAGE(clean_path(each.first) == each.second, std::string(each.first));
  CHECK(escape_path("/a b/%2F\r\n?#\xC3") == "/a%20b/%2F%0D%0A%3F%23%C3");
}

TEST_CASE("target: at most max_parameters") {
  std::string query = "a=1";
  for (std::size_t i = 1; i < max_parameters; ++i)
    query += "&a=1";
  CHECK(decode_query(query)->size() == max_parameters);
  CHECK_FALSE(decode_query(query + "&a=1"));
}

TEST_CASE("target: every string without NUL survives escaping, and random bytes do not crash") {
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string name;
    std::string value;
    for (auto n = random() % 20; n > 0; --n)
      name += static_cast<char>(1 + random() % 255);
    for (auto n = random() % 20; n > 0; --n)
      value += static_cast<char>(1 + random() % 255);
    auto target = decode_target("/" + escaped(name) + "?" + escaped(name) + "=" + escaped(value));
    REQUIRE(target);
    std::string path = "/";
    for (const char c : name)
      path += c == '/' ? std::string("%2F") : std::string(1, c);
    CHECK(target->path == path);
    CHECK_FALSE(clean_path(path).starts_with("//"));
    CHECK(clean_path(clean_path(path)) == clean_path(path));
    CHECK(target->query == Query{{name, value}});

    std::string hostile = "/";
    static constexpr char likely[] = "%0aAfF?&=+/:#";
    for (auto n = random() % 40; n > 0; --n)
      hostile += likely[random() % (sizeof likely)];
    if (auto decoded = decode_target(hostile)) CHECK(decoded->path.starts_with('/'));
  }
}
