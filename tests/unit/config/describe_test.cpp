#include <doctest/doctest.h>

#include <algorithm>
#include <regex>
#include <set>

#include "config/keys.hpp"
#include "tests/unit/config/fixture.hpp"

namespace perjoule::config {
namespace {

// `collectors.rapl.period = "1s"  # default` lines as a file again.
std::string as_file(const std::string& printed) {
  std::string text;
  std::vector<std::string> open;
  auto close_to = [&](std::size_t depth) {
    for (; open.size() > depth; open.pop_back())
      text += "},";
  };
  for (std::size_t at = 0; at < printed.size();) {
    const std::size_t end = printed.find('\n', at);
    const std::string line = printed.substr(at, end - at);
    at = end + 1;
    const std::size_t equals = line.find(" = ");
    std::string path = line.substr(0, line.find(' '));
    std::vector<std::string> steps;
    for (std::size_t dot = path.find('.'); dot != std::string::npos; dot = path.find('.')) {
      steps.push_back(path.substr(0, dot));
      path.erase(0, dot + 1);
    }
    std::size_t shared = 0;
    while (shared < std::min(open.size(), steps.size()) && open[shared] == steps[shared])
      ++shared;
    close_to(shared);
    for (; shared < steps.size(); ++shared) {
      text += "\"" + steps[shared] + "\": {";
      open.push_back(steps[shared]);
    }
    text += "\"" + path + "\": " + line.substr(equals + 3, line.rfind("  # ") - equals - 3) + ",\n";
  }
  close_to(0);
  return "{" + text + "}";
}

TEST_CASE("the installed file sets nothing; with every line uncommented it has every key at its default") {
  const Directory directory;
  const std::string text = default_file(test_collectors());
  const Outcome built_in = load(input());
  const Outcome as_installed = load(input(directory.write("perjoule.json", text)));
  REQUIRE(as_installed.loaded);
  CHECK(print_config(*as_installed.loaded) == print_config(*built_in.loaded));
  CHECK(as_installed.loaded->changed == 0);

  const std::string all = std::regex_replace(text, std::regex("// (\"[a-z_]+\": .*,)\n"), "$1\n");
  const Outcome from_file = load(input(directory.write("perjoule.json", all)));
  CHECK_MESSAGE(from_file.refusals.empty(), render(from_file.refusals));
  REQUIRE(from_file.loaded);
  CHECK(from_file.loaded->settings == built_in.loaded->settings);
  CHECK(from_file.loaded->changed == 0);
  for (const Effective& effective : from_file.loaded->effective) {
    CAPTURE(effective.path);
    CHECK(directory.hide(effective.origin).starts_with("perjoule.json:"));
  }
}

TEST_CASE("the output of print-config reads back as the same settings") {
  Input given = input();
  given.flags = {{"web.listen-address", ":1"},
                 {"web.listen-address", "[::1]:2"},
                 {"collector.rapl.period", "500ms"},
                 {"collector.fan.exclude", "a\"# \\"},
                 {"collector.fan.scale", "0.1"},
                 {"collector.fan.limit", "3KiB"},
                 {"efficiency.power_model.idle", "1.5 kW"},
                 {"efficiency.power_model.max", "2.25 kW"},
                 {"collector.disable-defaults", "true"},
                 {"storage.retention.raw", "1w3d"}};
  const Outcome first = load(given);
  REQUIRE(first.loaded);
  const std::string printed = print_config(*first.loaded);
  CHECK(printed.find("storage.retention.raw               = \"10d\"                                     # flag "
                     "--storage.retention.raw\n") != std::string::npos);
  const Directory directory;
  const Outcome second = load(input(directory.write("perjoule.json", as_file(printed))));
  CHECK_MESSAGE(second.refusals.empty(), render(second.refusals));
  REQUIRE(second.loaded);
  CHECK(second.loaded->settings == first.loaded->settings);
}

TEST_CASE("the spellings of all keys are distinct, and every key is described") {
  const std::vector<CollectorSection> collectors = test_collectors();
  const std::string described = describe_config(collectors);
  CHECK(std::count(described.begin(), described.end(), '\n') == static_cast<long>(keys(collectors).size()) + 2);
  std::set<std::string> names;
  for (const Key& key : keys(collectors)) {
    CAPTURE(key.path);
    CHECK(names.insert(key.path).second);
    CHECK(names.insert("--" + flag_name(key)).second);
    CHECK(names.insert(environment_name(key)).second);
    CHECK(key.help.size() > 5);
    CHECK(key.help.ends_with('.'));
    CHECK(key.nullable() == !key.null_means.empty());
    CHECK(described.find("| `" + key.path + "` |") != std::string::npos);
  }
  CHECK(names.contains("--collector.thermal_zone.stale-after"));
  CHECK(names.contains("--no-storage") == false);
  CHECK(names.contains("--storage"));
  CHECK(names.contains("--collector.disable-defaults"));
  CHECK(described.find("Reads a fan \\| two.") != std::string::npos);

  const std::vector<FlagHelp> all = flags(collectors);
  REQUIRE(all.size() == keys(collectors).size());
  CHECK(all[0].flag == "web.listen-address");
  CHECK(all[0].list);
  CHECK_FALSE(all[0].boolean);
  const auto rapl =
      std::find_if(all.begin(), all.end(), [](const FlagHelp& one) { return one.flag == "collector.rapl"; });
  REQUIRE(rapl != all.end());
  CHECK(rapl->boolean);
}

const json::Value* member(const json::Value* value, std::string_view key) {
  if (!value) return nullptr;
  for (const json::Value& item : value->items) {
    if (item.key == key) return &item;
  }
  return nullptr;
}

TEST_CASE("the schema has every key, with patterns that accept what the loader accepts") {
  const std::vector<CollectorSection> collectors = test_collectors();
  const std::string text = schema(collectors);
  const json::Document document = json::read(text);
  CHECK(document.problems.empty());
  REQUIRE(document.root);
  for (const Key& key : keys(collectors)) {
    CAPTURE(key.path);
    const json::Value* at = &*document.root;
    std::string rest = key.path;
    while (!rest.empty()) {
      REQUIRE(at != nullptr);
      REQUIRE(member(at, "additionalProperties") != nullptr);
      CHECK_FALSE(member(at, "additionalProperties")->boolean);
      const std::size_t dot = std::min(rest.find('.'), rest.size());
      at = member(member(at, "properties"), rest.substr(0, dot));
      rest.erase(0, dot + 1);
    }
    REQUIRE(at != nullptr);
    CHECK(member(at, "description") != nullptr);
    CHECK(member(at, "default") != nullptr);
    const json::Value* pattern = member(at, "pattern");
    if (!pattern) continue;
    const std::regex form(pattern->text);
    for (const char* sample : {"5s", "1h30m", "90", "1m1h", "", "s", "512 MiB", "512MiB", "512 MB", "250 W", "1.2 kW",
                               "1e2 W", ".5 W", "W", "1y2w3d4h5m6s7ms", "5 s"}) {
      CAPTURE(sample);
      Key unlimited = key;
      unlimited.min = unlimited.max = 0;
      unlimited.fallback = "x";  // not nullable, so that "" is a value
      CHECK(std::regex_match(sample, form) == parse_value(unlimited, sample).has_value());
    }
  }
}

}  // namespace
}  // namespace perjoule::config
