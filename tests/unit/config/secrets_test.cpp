#include "config/secrets.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace perjoule::config {
namespace {

constexpr std::array<std::string_view, 2> names = {"webhooks", "url"};

std::string masked(std::string_view text) {
  return mask_secrets(text, names);
}

}  // namespace

TEST_CASE("secrets: of a URL in a file only scheme, host and port are shown, and every place stays") {
  CHECK(masked(R"({"webhooks": ["https://hook.example:1/T0/B1?k=v#x"], "a": 1})") ==
        R"({"webhooks": ["https://hook.example:1/***********"], "a": 1})");
  CHECK(masked(R"("any": "https://user:pw@h/x y")") == R"("any": "https://*******@h/* y")");
  CHECK(masked(R"("webhooks": ["https:\/\/h\/secret"],)") == R"("webhooks": ["https:\/\/h\/******"],)");
  CHECK(masked("// https://h/secret\n") == "// https://h/******\n");
  CHECK(masked("[https://h/secret]") == "[https://h/*******");
  CHECK(masked(R"("webhook": "http://h?secret")") == R"("webhook": "http://h*******")");
  CHECK(masked("\"a\": \"http://127.0.0.1:9093\"") == "\"a\": \"http://127.0.0.1:9093\"");
}

TEST_CASE("secrets: a member with a secret name is hidden whole, also where the file is not valid") {
  CHECK(masked(R"({"webhooks": ["hooks/T0", 17, {"k": "v"}], "b": "c"})") ==
        R"({"webhooks": ["********", **, {"k": "v"}], "b": "c"})");
  CHECK(masked(R"({"Password" : "hunter2", "b": "c"})") == R"({"Password" : "*******", "b": "c"})");
  CHECK(masked(R"({"a": {"password": "x"}, "b": "c"})") == R"({"a": {"password": "*"}, "b": "c"})");
  CHECK(masked("{\"password\": hunter2\n") == "{\"password\": *******\n");
  CHECK(masked("{\"webhooks\": [\"a\\\"b\nc") == "{\"webhooks\": [\"****\n*");
  CHECK(masked(R"({"webhooks": ["SECREThttps://h/x"]})") == R"({"webhooks": ["******https://h/*"]})");
  CHECK(masked(R"({"webhooks": ["ftp://h/x"]})") == R"({"webhooks": ["******h/*"]})");
}

TEST_CASE("secrets: the members of a receiver are judged by their own names") {
  CHECK(masked(R"({"webhooks": [{"url": "hook/x", "name": "n", "basic_auth": {"password_file": "/p", "x": "u"}}]})") ==
        R"({"webhooks": [{"url": "******", "name": "n", "basic_auth": {"password_file": "/p", "x": "u"}}]})");
  CHECK(masked(R"({"headers": {"X": "s", "Y": ["t", {"Z": 7}]}, "b": "c"})") ==
        R"({"headers": {"X": "*", "Y": ["*", {"Z": *}]}, "b": "c"})");
  CHECK(masked(R"({"authorization": {"type": "T", "credentials": "s"}, "b": "c"})") ==
        R"({"authorization": {"type": "T", "credentials": "*"}, "b": "c"})");
  CHECK(masked(R"({"authorization": "Bearer s", "my_api_key": ["s"]})") ==
        R"({"authorization": "********", "my_api_key": ["*"]})");
  CHECK(masked("{'password': 's', api_token = s}") == "{'password': '*', api_token = *}");
}

TEST_CASE("secrets: a member that stands in a comment is hidden too") {
  CHECK(masked("// don't: \"password\": \"s\",\n\"a\": \"b\"") == "// don't: \"password\": \"*\",\n\"a\": \"b\"");
  CHECK(masked("/* \"webhooks\": [\"s\"]\n*/ \"a\": \"b\"") == "/* \"webhooks\": [\"*\"]\n*/ \"a\": \"b\"");
}

TEST_CASE("secrets: an escape in a URL hides all of it") {
  CHECK(masked(R"("a": "http:\/\/u:s\u0040h\/p")") == R"("a": "http:\/\/*************")");
}

TEST_CASE("secrets: any text keeps its length, its lines and its brackets") {
  std::mt19937 random(5);
  constexpr std::string_view likely = "{}[]\",:/\\\n \t@?#ab'*=";
  for (int round = 0; round < 20'000; ++round) {
    std::string text;
    for (auto n = random() % 40; n > 0; --n) {
      const auto pick = random() % 12;
      text += pick == 0 ? "\"webhooks\":" : pick == 1 ? "https://" : std::string(1, likely[random() % likely.size()]);
    }
    const std::string out = masked(text);
    REQUIRE(out.size() == text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
      CHECK((out[i] == text[i] || out[i] == '*'));
      if (text[i] == '\n') CHECK(out[i] == '\n');
    }
  }
}

TEST_CASE("secrets: a value for print-config, and the URLs of any text") {
  CHECK(mask_secret_value(R"(["https://h.example/T0/B1", "http://h:9093", "word"])") ==
        R"(["https://h.example/***", "http://h:9093", "***"])");
  CHECK(mask_secret_value(R"([{"url": "https://a:b@h/", "n": 1}])") == R"([{"url": "https://***@h/", "n": 1}])");
  CHECK(mask_secret_value(R"([{"url": "s", "name": "n", "headers": {"X": "s", "Y": 7}, "tls": {"key_file": "/k"}}])") ==
        R"([{"url": "***", "name": "n", "headers": {"X": "***", "Y": "***"}, "tls": {"key_file": "/k"}}])");
  CHECK(mask_secret_value("null") == "null");
  CHECK(mask_secret_value("not json") == R"("***")");
  CHECK(mask_urls("--x=https://u@h/p?q=1 http://i/ none") == "--x=https://***@h/*** http://i/ none");
  CHECK(mask_urls("a://") == "a://");
}

TEST_CASE("secrets: the names come from the table of keys") {
  const std::vector<Key> table = keys({});
  const auto found = secret_names(table);
  for (const std::string_view name : {"webhooks", "alertmanagers", "url"})
    CHECK(std::count(found.begin(), found.end(), name) == 1);
  CHECK(std::count(found.begin(), found.end(), "listen_address") == 0);
}

}  // namespace perjoule::config
