#include <doctest/doctest.h>

#include <algorithm>
#include <random>

#include "config/source_text.hpp"
#include "tests/unit/config/fixture.hpp"

namespace perjoule::config {
namespace {

struct Case {
  std::string_view text;
  std::string_view refusal;  // without the last line
};

constexpr Case cases[] = {
    // unknown
    {R"({"storage": {"retension": {}}})", R"(perjoule.json:1:14: error: storage.retension: unknown key
    1 | {"storage": {"retension": {}}}
      |              ^^^^^^^^^^^
   help: did you mean "retention"?
)"},
    {R"({"log": {"zebra": 1}})", R"(perjoule.json:1:10: error: log.zebra: unknown key
    1 | {"log": {"zebra": 1}}
      |          ^^^^^^^
   help: known here: level, format
)"},
    {R"({"log.level": "warn"})", R"(perjoule.json:1:2: error: log.level: unknown key
    1 | {"log.level": "warn"}
      |  ^^^^^^^^^^^
   help: known here: web, storage, log, path, efficiency, collectors, alerts
)"},
    {R"({"collectors": {"rapll": {}}})", R"(perjoule.json:1:17: error: collectors.rapll: unknown collector
    1 | {"collectors": {"rapll": {}}}
      |                 ^^^^^^^
   help: did you mean "rapl"?
)"},
    {R"({"collectors": {"fan": {"perod": "1s"}}})", R"(perjoule.json:1:25: error: collectors.fan.perod: unknown key
    1 | {"collectors": {"fan": {"perod": "1s"}}}
      |                         ^^^^^^^
   help: did you mean "period"?
)"},
    {R"({"a\u001bé": 1})", R"(perjoule.json:1:2: error: "a\u001bé": unknown key
    1 | {"a\u001bé": 1}
      |  ^^^^^^^^^^
   help: known here: web, storage, log, path, efficiency, collectors, alerts
)"},
    // wrong type
    {R"({"web": 1})", R"(perjoule.json:1:9: error: web: expected an object, got a number
    1 | {"web": 1}
      |         ^
)"},
    {R"({"web": {"max_requests": {}}})",
     R"(perjoule.json:1:26: error: web.max_requests: expected a whole number, got an object
    1 | {"web": {"max_requests": {}}}
      |                          ^
)"},
    {R"({"web": {"max_requests": 4.5}})",
     R"(perjoule.json:1:26: error: web.max_requests: expected a whole number, got a number 4.5
    1 | {"web": {"max_requests": 4.5}}
      |                          ^^^
)"},
    {R"({"web": {"enable_lifecycle": "yes"}})",
     R"(perjoule.json:1:30: error: web.enable_lifecycle: expected true or false, got a string "yes"
    1 | {"web": {"enable_lifecycle": "yes"}}
      |                              ^^^^^
   help: write true or false without quotes
)"},
    {R"({"web": {"listen_address": ":1"}})",
     R"(perjoule.json:1:28: error: web.listen_address: expected a list of strings, got a string ":1"
    1 | {"web": {"listen_address": ":1"}}
      |                            ^^^^
   help: write [":1"]
)"},
    {R"({"web": {"listen_address": [":1", 2]}})",
     R"(perjoule.json:1:35: error: web.listen_address: expected a string in the list, got a number
    1 | {"web": {"listen_address": [":1", 2]}}
      |                                   ^
)"},
    {R"({"storage": {"commit": 5}})",
     R"(perjoule.json:1:24: error: storage.commit: expected a duration such as "5s", got a number 5
    1 | {"storage": {"commit": 5}}
      |                        ^
   help: write "5s" for seconds
)"},
    {R"({"storage": {"path": null}})", R"(perjoule.json:1:22: error: storage.path: expected a string, got null
    1 | {"storage": {"path": null}}
      |                      ^^^^
   help: leave the key out for its default
)"},
    {R"({"storage": {"path": true}})", R"(perjoule.json:1:22: error: storage.path: expected a string, got true
    1 | {"storage": {"path": true}}
      |                      ^^^^
)"},
    // form and unit
    {R"({"storage": {"path": ""}})", R"(perjoule.json:1:22: error: storage.path: is empty
    1 | {"storage": {"path": ""}}
      |                      ^^
)"},
    {R"({"storage": {"retention": {"size": "512 MB"}}})",
     R"(perjoule.json:1:36: error: storage.retention.size: "512 MB" is not a size
    1 | {"storage": {"retention": {"size": "512 MB"}}}
      |                                    ^^^^^^^^
   help: write 512 MiB; sizes are binary: KiB MiB GiB
)"},
    {R"({"log": {"level": "inof"}})",
     R"(perjoule.json:1:19: error: log.level: expected one of debug, info, warn, error, got "inof"
    1 | {"log": {"level": "inof"}}
      |                   ^^^^^^
   help: did you mean "info"?
)"},
    {R"({"web": {"listen_address": []}})",
     R"(perjoule.json:1:28: error: web.listen_address: an empty list: the daemon would serve nothing
    1 | {"web": {"listen_address": []}}
      |                            ^
   help: the default is 127.0.0.1:10190
)"},
    {R"({"web": {"listen_address": [":1", "::1:80"]}})",
     R"(perjoule.json:1:35: error: web.listen_address: "::1:80" is not an address to listen on
    1 | {"web": {"listen_address": [":1", "::1:80"]}}
      |                                   ^^^^^^^^
   help: write HOST:PORT, such as 127.0.0.1:10190, [::1]:10190 or :10190 for every interface
)"},
    {R"({"web": {"telemetry_path": "metrics"}})",
     R"(perjoule.json:1:28: error: web.telemetry_path: does not start with /
    1 | {"web": {"telemetry_path": "metrics"}}
      |                            ^^^^^^^^^
   help: write "/metrics"
)"},
    // range
    {"{\n\t\"web\": {\t\"max_requests\": 0 }}",
     "perjoule.json:2:27: error: web.max_requests: 0 is out of range\n    2 | \t\"web\": {\t\"max_requests\": 0 }}\n"
     "      | \t        \t                ^\n   help: the range is 1 to 10000\n"},
    {R"({"storage": {"commit": "500ms"}})", R"(perjoule.json:1:24: error: storage.commit: 500ms is out of range
    1 | {"storage": {"commit": "500ms"}}
      |                        ^^^^^^^
   help: the range is 1s to 1m
)"},
    {R"({"collectors": {"fan": {"rating": "2 kW"}}})",
     R"(perjoule.json:1:35: error: collectors.fan.rating: 2 kW is out of range
    1 | {"collectors": {"fan": {"rating": "2 kW"}}}
      |                                   ^^^^^^
   help: the range is 1 W to 1 kW
)"},
    // keys that depend on each other
    {R"({"collectors": {"rapl": {"deadline": "2s"}}})",
     R"(perjoule.json:1:38: error: collectors.rapl.deadline: 2s is longer than the period of 1s (default)
    1 | {"collectors": {"rapl": {"deadline": "2s"}}}
      |                                      ^^^^
   help: a sample must end before the next one begins: the deadline is at most the period
)"},
    {R"({"collectors": {"rapl": {"stale_after": "500ms"}}})",
     R"(perjoule.json:1:41: error: collectors.rapl.stale_after: 500ms is shorter than the period of 1s (default)
    1 | {"collectors": {"rapl": {"stale_after": "500ms"}}}
      |                                         ^^^^^^^
   help: it must be at least the period, or every value would leave /metrics before the next sample
)"},
    {R"({"efficiency": {"power_model": {"idle": "90 W"}}})",
     R"(perjoule.json:1:41: error: efficiency.power_model.idle: requires efficiency.power_model.max, which is not set
    1 | {"efficiency": {"power_model": {"idle": "90 W"}}}
      |                                         ^^^^^^
   help: set both or neither
)"},
    {R"({"efficiency": {"power_model": {"idle": "90 W", "max": "80 W"}}})",
     "perjoule.json:1:56: error: efficiency.power_model.max: "
     R"(80 W is not above the idle power of 90 W (perjoule.json:1)
    1 | {"efficiency": {"power_model": {"idle": "90 W", "max": "80 W"}}}
      |                                                        ^^^^^^
)"},
};

TEST_CASE("every kind of mistake is reported with its position and a help") {
  for (const Case& wrong : cases) {
    CAPTURE(wrong.text);
    CHECK(refusals_of(wrong.text) == std::string(wrong.refusal) + "1 error; configuration not loaded\n");
  }
}

TEST_CASE("a refusal shows neither controls of the terminal nor a secret") {
  // A file name, a key and a comment with an escape sequence, C1, bidi; the caret is under what is shown.
  CHECK(refusals_of("{\"log\": {\"\u009b31m\u202e\": 1}} // \x7F\x1B") ==
        "perjoule.json:1:27: error: control character 0x1b\n"
        "    1 | {\"log\": {\"\\u009b31m\\u202e\": 1}} // \\u007f\\u001b\n"
        "      |                                          ^^^^^^\n"
        "1 error; configuration not loaded\n");
  for (const std::string_view text : {
           R"({"alerts": {"webhooks": ["https://h/planted"], "nonsense": 1}})",
           R"({"alerts": {"webhooks": "https://h/planted"}})",
           R"({"alerts": {"webhooks": ["planted"]}})",
           R"({"alerts": {"webhooks": [planted]}})",
           R"({"alerts": {"webhooks": [https://h/planted]}})",
           R"({"alerts": {"webhooks": ["https://planted:planted@h/"]}})",
           R"({"alerts": {"webhook": ["https://h/?planted"]}})",
           R"({"alerts": {"alertmanagers": ["https://h/a" "https://h/planted"]}})",
           R"({"alerts": {"webhooks": ["https://h/planted)",
           R"({"alerts": {"password": "planted", "webhooks": [17]}})",
           R"({"web": {"max_requests": 0 /* https://h/planted */}})",
       }) {
    CAPTURE(text);
    const std::string shown = refusals_of(text);
    CHECK(shown.find("error") != std::string::npos);
    CHECK(shown.find("planted") == std::string::npos);
  }
  Input given = input();
  given.environment = {{"PERJOULE_ALERTS_WEBHOOKS", "planted"}};
  given.flags = {{"alerts.alertmanagers", "http://planted@h/"}};
  const std::string shown = render(load(given).refusals);
  CHECK(shown.find("2 errors") != std::string::npos);
  CHECK(shown.find("planted") == std::string::npos);
}

TEST_CASE("all mistakes of all layers are reported in one run") {
  const Directory directory;
  Input given = input(directory.write("perjoule.json", R"({"web": {"max_requests": 0}, "log": {"level": 3}})"));
  directory.write("conf.d/10-a.json", "{");
  directory.write("conf.d/20-b.json", R"({"lgo": {}})");
  given.environment = {
      {"PERJOULE_STORAGE_COMMIT", "5"}, {"PERJOULE_STORAGE_COMIT", "5s"}, {"PERJOULE_NVML_SCENARIO", "x"}};
  given.flags = {{"log.format", "xml"}, {"collector.rpl", "true"}};
  const Outcome outcome = load(given);
  CHECK_FALSE(outcome.loaded);
  CHECK(directory.hide(render(outcome.refusals)) == R"(perjoule.json:1:26: error: web.max_requests: 0 is out of range
    1 | {"web": {"max_requests": 0}, "log": {"level": 3}}
      |                          ^
   help: the range is 1 to 10000
perjoule.json:1:47: error: log.level: expected one of debug, info, warn, error, got a number 3
    1 | {"web": {"max_requests": 0}, "log": {"level": 3}}
      |                                               ^
conf.d/10-a.json:1:2: error: expected a key or "}", got the end of the file
    1 | {
      |  ^
   help: the bracket of line 1 is not closed
conf.d/20-b.json:1:2: error: lgo: unknown key
    1 | {"lgo": {}}
      |  ^^^^^
   help: did you mean "log"?
environment PERJOULE_STORAGE_COMMIT: error: storage.commit: "5" has no unit
   help: write 5s for seconds (ms s m h d w y)
environment PERJOULE_STORAGE_COMIT: error: unknown environment variable
   help: did you mean PERJOULE_STORAGE_COMMIT?
flag --log.format: error: log.format: expected one of logfmt, json, got "xml"
flag --collector.rpl: error: unknown flag
   help: did you mean --collector.rapl?
8 errors; configuration not loaded
)");
}

TEST_CASE("a file that cannot be read is one refusal") {
  const Directory directory;
  CHECK(directory.hide(render(load(input(directory.path() / "none.json")).refusals)) ==
        "none.json: error: cannot read: No such file or directory\n1 error; configuration not loaded\n");
  directory.write("folder/x", "");
  CHECK(directory.hide(render(load(input(directory.path() / "folder")).refusals)) ==
        "folder: error: not a regular file\n1 error; configuration not loaded\n");
}

TEST_CASE("the number of refusals and of files is bounded") {
  std::string many = "{";
  for (int i = 0; i < 5000; ++i)
    many += "\"k" + std::to_string(i) + "\": 1,";
  const Directory directory;
  const Outcome outcome = load(input(directory.write("perjoule.json", many + "}")));
  REQUIRE(outcome.refusals.size() == 1001);
  CHECK(outcome.refusals.back().what == "more than 1000 errors; the rest is not listed");

  directory.write("perjoule.json", "{}");
  for (int i = 0; i < 256; ++i)
    directory.write("conf.d/" + std::to_string(i) + ".json", "{}");
  CHECK(load(input(directory.path() / "perjoule.json")).loaded);
  directory.write("conf.d/one-more.json", "{}");
  CHECK(load(input(directory.path() / "perjoule.json")).refusals.at(0).what == "more than 256 files");
}

TEST_CASE("any bytes give settings or refusals with a position inside the file") {
  const Directory directory;
  const std::string good = default_file(test_collectors());
  std::mt19937 random(11);
  auto below = [&random](std::size_t limit) { return static_cast<std::size_t>(random() % limit); };
  constexpr std::string_view likely = "{}[]\",:\\/*\n\t 0-1eE.tfn\xEF\xBB\xBF\xC3\x00\x80";
  std::size_t taken = 0;
  std::size_t refused = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string text = good;
    for (std::size_t change = below(3) + 1; change > 0; --change) {
      const std::size_t at = below(text.size());
      switch (below(4)) {
        case 0:
          text[at] = likely[below(likely.size())];
          break;
        case 1:
          text.erase(at, below(40) + 1);
          break;
        case 2:
          text.insert(at, 1, static_cast<char>(below(256)));
          break;
        default:
          text.insert(at, text.substr(below(text.size()), below(60)));
          break;
      }
      if (text.empty()) text = "{";
    }
    const Outcome outcome = load(input(directory.write("perjoule.json", text)));
    REQUIRE(outcome.loaded.has_value() == outcome.refusals.empty());
    (outcome.loaded ? taken : refused) += 1;
    const auto lines = static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
    for (const Refusal& refusal : outcome.refusals) {
      REQUIRE(refusal.line >= 1);
      REQUIRE(refusal.line <= lines);
      REQUIRE(refusal.column >= 1);
      REQUIRE(refusal.caret <= characters(refusal.source_line));
      REQUIRE(characters(refusal.source_line) <= excerpt_columns);
      REQUIRE_FALSE(refusal.what.empty());
      for (char c : refusal.what + refusal.path + refusal.help)
        REQUIRE(static_cast<unsigned char>(c) >= 0x20);
    }
  }
  // Changes inside comments are harmless; most others are not.
  CHECK(taken > 100);
  CHECK(refused > 1000);
}

}  // namespace
}  // namespace perjoule::config
