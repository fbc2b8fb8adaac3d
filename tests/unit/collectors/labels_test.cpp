#include "collectors/labels.hpp"

#include <doctest/doctest.h>

#include <random>

#include "tests/fakes/readings.hpp"

namespace perjoule {

TEST_CASE("labels: written and read back, whatever bytes their values hold") {
  std::mt19937_64 random(4);
  for (int i = 0; i < 2'000; ++i) {
    const Labels labels = {{"a", hostile(random, "\\\",=\nn")}, {"b", hostile(random, "\\\",=\nn")}};
    CHECK(parse_labels(label_text(labels)) == labels);
  }
  CHECK(parse_labels("") == Labels{});
  for (const char* wrong : {"a", "a=", "a=\"", "a=\"b\",", "a=\"b\"c=\"d\"", "=\"b\"", "a=\"b\",a=\"c\"", "a=\"\\"})
    CHECK_FALSE(parse_labels(wrong));
}

TEST_CASE("labels: the escapes of the exposition format") {
  const Labels labels = {{"path", "C:\\new\n\"x\""}};
  CHECK(label_text(labels) == R"(path="C:\\new\n\"x\"")");
  CHECK(parse_labels(R"(b="2",a="1")") == Labels{{"a", "1"}, {"b", "2"}});
}

TEST_CASE("labels: hostile input gives labels that read back, or nothing") {
  std::mt19937_64 random(3);
  for (int i = 0; i < 5'000; ++i) {
    const std::string text = hostile(random, "ab=\",\\");
    CAPTURE(text);
    if (const auto labels = parse_labels(text)) CHECK(parse_labels(label_text(*labels)) == labels);
  }
}

TEST_CASE("labels: a value by name, a set without one, and JSON") {
  const Labels labels = {{"gpu", "0"}, {"source", "rapl"}, {"uuid", "GPU-\"5a\""}};
  CHECK(label_value(labels, "gpu") == "0");
  CHECK(label_value(labels, "gp") == "");
  CHECK(label_value({}, "gpu") == "");
  const auto not_source = [](std::string_view name) { return name != "source"; };
  CHECK(select_labels(R"(z="1",source="x",a="q\"")", not_source) == R"(z="1",a="q\"")");
  CHECK(select_labels(R"(z="1)", not_source).empty());
  std::string json = "{\"labels\":";
  append_json(json, labels);
  CHECK(json == R"({"labels":{"gpu":"0","source":"rapl","uuid":"GPU-\"5a\""})");
  json.clear();
  append_json(json, {});
  CHECK(json == "{}");
}

}  // namespace perjoule
