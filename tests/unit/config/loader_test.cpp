#include "config/loader.hpp"

#include <doctest/doctest.h>

#include "tests/unit/config/fixture.hpp"

namespace perjoule::config {
namespace {

Loaded taken(const Input& given) {
  Outcome outcome = load(given);
  CHECK_MESSAGE(outcome.refusals.empty(), render(outcome.refusals));
  REQUIRE(outcome.loaded);
  return *std::move(outcome.loaded);
}

const Effective& key(const Loaded& loaded, std::string_view path) {
  for (const Effective& effective : loaded.effective) {
    if (effective.path == path) return effective;
  }
  static const Effective none;
  return none;
}

TEST_CASE("without a file the defaults apply") {
  const Settings settings = taken(input()).settings;
  CHECK(settings.web == Web{});
  CHECK(settings.log == Log{});
  CHECK(settings.roots == Roots{});
  CHECK(settings.power_model == PowerModel{});
  CHECK(settings.storage.path == "/var/lib/perjoule");
  CHECK(settings.storage.commit == Milliseconds(5000));
  CHECK(settings.storage.retention.raw == std::chrono::hours(30 * 24));
  CHECK(settings.storage.retention.minute == std::chrono::hours(365 * 24));
  CHECK(settings.storage.retention.hour == std::chrono::hours(5 * 365 * 24));
  CHECK(settings.storage.retention.size_bytes == 512 * 1024 * 1024);
  REQUIRE(settings.collectors.size() == 3);
  const CollectorSettings& zone = settings.collectors.at("thermal_zone");
  CHECK(zone.enabled);
  CHECK(zone.period == Milliseconds(5000));
  CHECK(zone.deadline == Milliseconds(2000));
  CHECK(zone.stale_after == Milliseconds(15000));
  CHECK(settings.collectors.at("rapl").stale_after == Milliseconds(10000));
  const CollectorSettings& fan = settings.collectors.at("fan");
  CHECK_FALSE(fan.enabled);
  CHECK(fan.options.text("directory") == "/var/lib/fan");
  CHECK(fan.options.number("wait") == 2);
  CHECK(fan.options.number("limit") == 1 << 20);
  CHECK_FALSE(fan.options.has("rating"));
  CHECK_FALSE(fan.options.has("exclude"));
  CHECK(fan.options.number("count") == 8);
  CHECK_FALSE(fan.options.boolean("strict", true));
}

TEST_CASE("a later layer wins, and each value records its origin") {
  const Directory directory;
  Input given = input(directory.write("perjoule.json", R"({
    "storage": { "commit": "2s", "path": "/a", "retention": { "raw": "1d", "minute": "2d", "hour": "3d" } },
    "web": { "listen_address": [":1", ":2"] }
  })"));
  directory.write("conf.d/20-late.json", R"({"storage": {"retention": {"minute": "9d"}}, "log": {"level": "error"}})");
  directory.write("conf.d/10-early.json",
                  "{\n\"storage\": {\"path\": \"/b\", \"retention\": {\"minute\": \"8d\"}},\n"
                  "\"web\": {\"listen_address\": [\":3\"]}, \"log\": {\"level\": \"warn\"}}");
  directory.write("conf.d/.hidden.json", "not JSON");
  directory.write("conf.d/README", "not JSON");
  given.environment = {{"PERJOULE_STORAGE_RETENTION_HOUR", "4d"}, {"PERJOULE_LOG_LEVEL", "debug"}};
  given.flags = {{"storage.retention.hour", "5d"}};
  const Loaded loaded = taken(given);
  const Settings& settings = loaded.settings;
  CHECK(settings.storage.commit == Milliseconds(2000));
  CHECK(settings.storage.path == "/b");
  CHECK(settings.storage.retention.raw == std::chrono::hours(24));
  CHECK(settings.storage.retention.minute == std::chrono::hours(9 * 24));
  CHECK(settings.storage.retention.hour == std::chrono::hours(5 * 24));
  CHECK(settings.web.listen_address == std::vector<std::string>{":3"});
  CHECK(settings.log.level == LogLevel::debug);

  auto origin = [&](std::string_view path) { return directory.hide(key(loaded, path).origin); };
  CHECK(origin("storage.commit") == "perjoule.json:2");
  CHECK(origin("storage.path") == "conf.d/10-early.json:2");
  CHECK(origin("web.listen_address") == "conf.d/10-early.json:3");
  CHECK(origin("storage.retention.minute") == "conf.d/20-late.json:1");
  CHECK(origin("storage.retention.hour") == "flag --storage.retention.hour");
  CHECK(origin("log.level") == "environment PERJOULE_LOG_LEVEL");
  CHECK(origin("log.format") == "default");
}

TEST_CASE("the files that were read are named, with the number of keys that differ from their defaults") {
  const Directory directory;
  const auto said = [&](const Input& given) {
    const Outcome outcome = load(given);
    return outcome.loaded ? directory.hide(files_read(*outcome.loaded)) : "refused";
  };
  CHECK(said(input()) == "no file (0 keys changed)");
  Input given = input(directory.path() / "perjoule.json");
  CHECK(said(given) == "refused");
  given.file_may_be_missing = true;
  CHECK(said(given) == "no file (0 keys changed)");
  directory.write("conf.d/10-site.json", R"({"log": {"level": "warn"}})");
  CHECK(said(given) == "conf.d/10-site.json (1 key changed)");
  directory.write("perjoule.json", R"({"log": {"level": "error", "format": "logfmt"}, "web": {"max_requests": 9}})");
  directory.write("conf.d/20-\x1b.json", R"({"collectors": {"rapl": {"stale_after": null, "period": "2s"}}})");
  CHECK(said(given) == "perjoule.json, conf.d/10-site.json, conf.d/20-\\u001b.json (3 keys changed)");
  given.environment = {{"PERJOULE_WEB_MAX_REQUESTS", "40"}};  // back to the default
  given.flags = {{"storage.commit", "9s"}};
  CHECK(said(given) == "perjoule.json, conf.d/10-site.json, conf.d/20-\\u001b.json (3 keys changed)");
  directory.write("perjoule.json", "{");
  CHECK(said(given) == "refused");
}

TEST_CASE("environment and flags can set every type") {
  Input given = input();
  given.environment = {{"PERJOULE_WEB_LISTEN_ADDRESS", "127.0.0.1:1, [::1]:2,:3"},
                       {"PERJOULE_COLLECTORS_THERMAL_ZONE_STALE_AFTER", "1m"},
                       {"PERJOULE_COLLECTORS_FAN_STRICT", "true"},
                       {"PERJOULE_COLLECTORS_FAN_DIRECTORY", "/ä"},
                       {"PERJOULE_EFFICIENCY_POWER_MODEL_IDLE", "90 W"}};
  given.flags = {{"efficiency.power-model.max", "0.3 kW"},
                 {"collector.fan.exclude", "a,b"},
                 {"collector.fan.exclude", "c"},
                 {"collector.thermal_zone", "false"},
                 {"collector.fan", "true"},
                 {"collector.fan.count", "9"},
                 {"collector.fan.scale", "0.25"},
                 {"storage", "false"},
                 {"web.enable-lifecycle", "true"}};
  const Loaded loaded = taken(given);
  const Settings& settings = loaded.settings;
  CHECK(settings.web.listen_address == std::vector<std::string>{"127.0.0.1:1", "[::1]:2", ":3"});
  CHECK(settings.web.enable_lifecycle);
  CHECK_FALSE(settings.storage.enabled);
  CHECK(settings.power_model == PowerModel{90, 300});
  CHECK_FALSE(settings.collectors.at("thermal_zone").enabled);
  CHECK(settings.collectors.at("thermal_zone").stale_after == Milliseconds(60000));
  const CollectorSettings& fan = settings.collectors.at("fan");
  CHECK(fan.enabled);
  CHECK(fan.options.list("exclude") == std::vector<std::string>{"a,b", "c"});  // a repeated flag is one list
  CHECK(fan.options.number("count") == 9);
  CHECK(fan.options.number("scale") == 0.25);
  CHECK(fan.options.boolean("strict"));
  CHECK(fan.options.text("directory") == "/ä");
  CHECK(key(loaded, "storage.enabled").origin == "flag --no-storage");
  CHECK(key(loaded, "collectors.thermal_zone.enabled").origin == "flag --no-collector.thermal_zone");
  CHECK(key(loaded, "collectors.fan.exclude").value == R"(["a,b", "c"])");

  // A key's path is accepted as its flag too.
  given.flags = {{"storage.enabled", "false"}, {"efficiency.power_model.max", "100 W"}};
  CHECK_FALSE(taken(given).settings.storage.enabled);
}

TEST_CASE("a deadline that is not set follows a shorter period") {
  Input given = input();
  given.flags = {{"collector.rapl.period", "500ms"}, {"collector.thermal_zone.period", "1m"}};
  const Settings settings = taken(given).settings;
  CHECK(settings.collectors.at("rapl").deadline == Milliseconds(450));
  CHECK(settings.collectors.at("rapl").stale_after == Milliseconds(10000));
  CHECK(settings.collectors.at("thermal_zone").deadline == Milliseconds(2000));
  CHECK(settings.collectors.at("thermal_zone").stale_after == Milliseconds(180000));

  given.flags = {{"collector.rapl.period", "900ms"}};  // equal to the default deadline
  CHECK(taken(given).settings.collectors.at("rapl").deadline == Milliseconds(900));
  given.flags = {{"collector.rapl.period", "500ms"}, {"collector.rapl.deadline", "900ms"}};
  CHECK(load(given).refusals.at(0).what == "900ms is longer than the period of 500ms (flag --collector.rapl.period)");
  // A wrong period is refused alone: the deadline is not compared with it.
  given.flags = {{"collector.rapl.period", "5"}, {"collector.rapl.deadline", "4s"}};
  CHECK(load(given).refusals.size() == 1);
}

TEST_CASE("disable_defaults keeps the collectors that are enabled by name") {
  const Directory directory;
  Input given =
      input(directory.write("perjoule.json", R"({"collectors": {"rapl": {"enabled": true}, "thermal_zone": {}}})"));
  given.flags = {{"collector.disable-defaults", "true"}};
  const Loaded loaded = taken(given);
  CHECK(loaded.settings.collectors.at("rapl").enabled);
  CHECK_FALSE(loaded.settings.collectors.at("thermal_zone").enabled);
  CHECK(key(loaded, "collectors.thermal_zone.enabled").origin == "flag --collector.disable-defaults");
  given.flags.clear();
  CHECK(taken(given).settings.collectors.at("thermal_zone").enabled);  // enabling one does not disable the others
}

TEST_CASE("null unsets a key of an earlier file, and remarks are ignored") {
  const Directory directory;
  const Input given = input(directory.write("perjoule.json", R"({
    "$schema": "x", "//": ["remark"], "x-site": {"a": 1},
    "collectors": {"fan": {"//": 1, "x-": null, "rating": "5 W", "exclude": ["a"], "stale_after": "1m"}}
  })"));
  CHECK(taken(given).settings.collectors.at("fan").options.number("rating") == 5);
  directory.write("conf.d/a.json", R"({"collectors": {"fan": {"rating": null, "exclude": [], "stale_after": null}}})");
  const Settings settings = taken(given).settings;
  CHECK_FALSE(settings.collectors.at("fan").options.has("rating"));
  CHECK(settings.collectors.at("fan").options.has("exclude"));
  CHECK(settings.collectors.at("fan").options.list("exclude").empty());
  CHECK(settings.collectors.at("fan").stale_after == Milliseconds(10000));
}

TEST_CASE("addresses to listen on") {
  auto refusal = [](const std::string& address) {
    Input given = input();
    given.flags = {{"web.listen-address", address}};
    const Outcome outcome = load(given);
    return outcome.loaded ? std::string() : outcome.refusals.at(0).what;
  };
  for (const char* good :
       {"127.0.0.1:10190", ":9100", "[::1]:80", "[fe80::1]:0", "node-1.example.com:65535", "0.0.0.0:1"}) {
    CAPTURE(good);
    CHECK(refusal(good).empty());
  }
  for (const char* bad : {"127.0.0.1", "127.0.0.1:", "127.0.0:80", "256.0.0.1:80", "::1:80", "[::1:80", "[:::]:80",
                          "a b:80", "host:65536", "host:-1", "host:http", "-h:80", ""}) {
    CAPTURE(bad);
    CHECK_FALSE(refusal(bad).empty());
  }
}

TEST_CASE("a reload names the keys that only a restart applies") {
  Input given = input();
  const Loaded running = taken(given);
  given.flags = {{"web.max-requests", "41"},
                 {"log.level", "warn"},
                 {"path.sysfs", "/x"},
                 {"storage.commit", "6s"},
                 {"collector.rapl.period", "2s"},
                 {"log.format", "logfmt"},
                 {"web.listen-address", ":99"},
                 {"storage", "false"}};
  CHECK(keys_that_need_restart(running, taken(given)) ==
        std::vector<std::string>{"web.listen_address", "web.max_requests", "storage.enabled", "path.sysfs"});
  CHECK(keys_that_need_restart(running, running).empty());
}

TEST_CASE("a wrong default of a collector's table is refused, not dropped") {
  static constexpr std::array<Option, 1> wrong = {{{"wait", OptionType::duration, "2", "How long it waits.", 1, 60}}};
  Input given = input();
  given.collectors.push_back({"odd", "Odd.", true, Milliseconds(1000), Milliseconds(900), wrong});
  const Outcome outcome = load(given);
  REQUIRE(outcome.refusals.size() == 1);
  CHECK(outcome.refusals[0].file == "built-in default");
  CHECK(outcome.refusals[0].path == "collectors.odd.wait");
}

}  // namespace
}  // namespace perjoule::config
