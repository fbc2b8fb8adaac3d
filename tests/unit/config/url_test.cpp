#include "config/url.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace perjoule;
using namespace perjoule::config;

TEST_CASE("a URL is scheme, host, port and target") {
  const struct {
    const char* text;
    Url url;
    const char* authority;
  } cases[] = {
      {"http://am", {false, "am", "80", "/"}, "am"},
      {"https://am", {true, "am", "443", "/"}, "am"},
      {"http://am:9093/x/y?a=b#part", {false, "am", "9093", "/x/y?a=b"}, "am:9093"},
      {"https://am:80?a", {true, "am", "80", "/?a"}, "am:80"},
      {"http://[::1]:9093/", {false, "::1", "9093", "/"}, "[::1]:9093"},
      {"http://[fe80::1]", {false, "fe80::1", "80", "/"}, "[fe80::1]"},
      {"http://10.0.0.1#x", {false, "10.0.0.1", "80", "/"}, "10.0.0.1"},
  };
  for (const auto& [text, expected, authority] : cases) {
    const Checked<Url> url = parse_url(text);
    const std::string_view shown = text;  // clang 14 captures no structured binding
    CAPTURE(shown);
    REQUIRE(url.has_value());
    CHECK(url->tls == expected.tls);
    CHECK(url->host == expected.host);
    CHECK(url->port == expected.port);
    CHECK(url->target == expected.target);
    CHECK(url->authority() == authority);
  }
}

TEST_CASE("invalid URLs are refused, and the error repeats neither path nor password") {
  const std::string long_host(254, 'a');
  for (const std::string& text : {std::string(""),
                                  std::string("http://"),
                                  std::string("http:///secret"),
                                  std::string("ftp://a/secret"),
                                  std::string("am:9093"),
                                  std::string("http://a:/secret"),
                                  std::string("http://a:0/secret"),
                                  std::string("http://a:65536/secret"),
                                  std::string("http://a:1x/secret"),
                                  std::string("http://u:secret@a/"),
                                  std::string("http://[::1/secret"),
                                  std::string("http://[x]/secret"),
                                  std::string("http://[]/secret"),
                                  std::string("http://[::1]9/secret"),
                                  std::string("http://a b/secret"),
                                  std::string("http://a/secret\r\nHost: b"),
                                  std::string("http://a/\xC3\xA4secret"),
                                  std::string("http://a\0b/secret", 17),
                                  "http://" + long_host + "/secret",
                                  "http://a/" + std::string(url_bytes_max, 's') + "secret",
                                  std::string("HTTP://a/secret")}) {
    const Checked<Url> url = parse_url(text);
    REQUIRE_MESSAGE(url.has_error(), text);
    CHECK(url.error().what.find("secret") == std::string::npos);
    CHECK(url.error().help.find("secret/") == std::string::npos);
  }
}

TEST_CASE("every accepted URL can be written into a request line") {
  std::mt19937 random(7);
  const std::string alphabet("htp:/s@[]a.0%?#& \r\n\t\0\x80\xFF", 24);
  int accepted = 0;
  for (int i = 0; i < 200'000; ++i) {
    std::string text = i % 2 == 0 ? "http://a" : "https://";
    const std::size_t size = random() % 12;
    for (std::size_t at = 0; at < size; ++at)
      text += alphabet[random() % alphabet.size()];
    const Checked<Url> url = parse_url(text);
    if (!url) continue;
    ++accepted;
    CHECK(url->target.front() == '/');
    for (const char c : url->target + url->authority())
      CHECK((c > ' ' && c < '\x7F'));
  }
  CHECK(accepted > 1000);
}
