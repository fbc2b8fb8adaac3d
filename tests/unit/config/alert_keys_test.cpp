#include <doctest/doctest.h>

#include "tests/unit/config/fixture.hpp"

namespace perjoule::config {
namespace {

using Map = std::map<std::string, std::string>;

// Refuses every rule without a name.
std::vector<json::Problem> wants_names(const json::Value& rules) {
  std::vector<json::Problem> problems;
  for (std::size_t i = 0; i < rules.items.size(); ++i) {
    if (rules.items[i].items.empty())
      problems.push_back(
          {rules.items[i].place, "alerts.rules[" + std::to_string(i) + "]", "has no name", "give it one"});
  }
  return problems;
}

Outcome load_text(std::string_view text, Input given = input()) {
  const Directory directory;
  given.file = directory.write("perjoule.json", text);
  given.examine_rules = wants_names;
  Outcome outcome = load(given);
  for (Refusal& refusal : outcome.refusals)
    refusal.file = directory.hide(refusal.file);
  return outcome;
}

std::string refused(std::string_view text, Input given = input()) {
  const Outcome outcome = load_text(text, std::move(given));
  return outcome.refusals.empty() ? "" : render(outcome.refusals);
}

Alerts taken(std::string_view text, Input given = input()) {
  const Outcome outcome = load_text(text, std::move(given));
  CHECK_MESSAGE(outcome.refusals.empty(), render(outcome.refusals));
  REQUIRE(outcome.loaded);
  return outcome.loaded->settings.alerts;
}

TEST_CASE("external labels are added to the default ones, layer by layer, and an empty string removes one") {
  CHECK(taken("{}").external_labels == Map{{"instance", "{hostname}:{port}"}, {"source", "perjouled"}});
  Input given = input();
  given.environment = {{"PERJOULE_ALERTS_EXTERNAL_LABELS", "rack=r2, site=x=y"}};
  given.flags = {{"alerts.external-labels", "row=7,8"}, {"alerts.external-labels", "source="}};
  CHECK(taken(R"({"alerts": {"external_labels": {"rack": "r1", "hall": "north"}}})", given).external_labels ==
        Map{{"instance", "{hostname}:{port}"}, {"rack", "r2"}, {"hall", "north"}, {"site", "x=y"}, {"row", "7,8"}});
}

TEST_CASE("receivers are lists of URLs and objects") {
  const Alerts alerts =
      taken(R"({"alerts": {"alertmanagers": ["http://a:9093", "https://b/x"], "webhooks": ["http://[::1]:80/x@y"]}})");
  CHECK(alerts.alertmanagers == std::vector<Receiver>{{"http://a:9093", {}, {}}, {"https://b/x", {}, {}}});
  CHECK(alerts.webhooks == std::vector<Receiver>{{"http://[::1]:80/x@y", {}, {}}});
  CHECK(alerts.default_rules);
  CHECK(alerts.rules == "[]");
}

TEST_CASE("rules are kept as JSON, whatever their layer, and the last layer replaces them") {
  CHECK(taken(R"({"alerts": {"rules": [ /* one */ {"alert": "A\n", "for": 1.5, "on": [true, null, -7], "x": {}}, ]}})")
            .rules == R"([{"alert": "A\n", "for": 1.5, "on": [true, null, -7], "x": {}}])");
  Input given = input();
  given.environment = {{"PERJOULE_ALERTS_RULES", R"([{"alert": "B"}])"}};
  CHECK(taken(R"({"alerts": {"rules": [{"alert": "A"}]}})", given).rules == R"([{"alert": "B"}])");
  given.flags = {{"alerts.rules", "[]"}};
  CHECK(taken(R"({"alerts": {"rules": [{"alert": "A"}]}})", given).rules == "[]");
}

TEST_CASE("the daemon's refusals of rules are listed with the others") {
  CHECK(refused("{\"alerts\": {\"rules\": [{\"alert\": \"A\"},\n  {}, {}]},\n \"log\": {\"level\": \"x\"}}") ==
        R"(perjoule.json:2:3: error: alerts.rules[1]: has no name
    2 |   {}, {}]},
      |   ^
   help: give it one
perjoule.json:2:7: error: alerts.rules[2]: has no name
    2 |   {}, {}]},
      |       ^
   help: give it one
perjoule.json:3:19: error: log.level: expected one of debug, info, warn, error, got "x"
    3 |  "log": {"level": "x"}}
      |                   ^^^
3 errors; configuration not loaded
)");
  Input given = input();
  given.environment = {{"PERJOULE_ALERTS_RULES", "[{}]"}};
  given.flags = {{"alerts.rules", "[{"}};
  CHECK(refused("{}", given) ==
        "environment PERJOULE_ALERTS_RULES: error: alerts.rules[0]: has no name\n   help: give it one\n"
        "flag --alerts.rules: error: alerts.rules: expected a key or \"}\", got the end of the file\n   help: the "
        "bracket of line 1 is not closed\n2 errors; configuration not loaded\n");
}

struct Case {
  std::string_view text;
  std::string_view refusal;
};

TEST_CASE("an invalid label, template, URL or list of objects is refused with its position") {
  const Case cases[] = {
      {R"({"alerts": {"external_labels": {"1a": "x"}}})",
       "39: error: alerts.external_labels: \"1a\" is not a valid label name"},
      {R"({"alerts": {"external_labels": {"severity": "x"}}})",
       "45: error: alerts.external_labels: severity is reserved: every alert sets this label itself"},
      {R"({"alerts": {"external_labels": {"a": "{hostnam}"}}})",
       "38: error: alerts.external_labels: unknown placeholder \"hostnam\""},
      {R"({"alerts": {"external_labels": {"a": "}"}}})",
       "38: error: alerts.external_labels: \"}\" has an unbalanced brace"},
      {R"({"alerts": {"external_labels": {"a": 1}}})",
       "38: error: alerts.external_labels: expected a string for a, got a number"},
      {R"({"alerts": {"external_labels": ["a"]}})",
       "32: error: alerts.external_labels: expected an object of strings, got an array"},
      {R"({"alerts": {"webhooks": ["http://a", "localhost:9093"]}})",
       "38: error: alerts.webhooks[1]: the URL does not start with http:// or https://"},
      {R"({"alerts": {"alertmanagers": ["http://:9093"]}})",
       "31: error: alerts.alertmanagers[0]: host name is missing, too long or contains an invalid character"},
      {R"({"alerts": {"webhooks": ["http://user:secret@a/"]}})",
       "26: error: alerts.webhooks[0]: the URL contains a user or password"},
      {R"({"alerts": {"runbook_url": "https://a/"}})",
       "28: error: alerts.runbook_url: \"https://a/\" is not a URL with {runbook} in it"},
      {R"({"alerts": {"rules": {}}})", "22: error: alerts.rules: expected a list of objects, got an object"},
      {R"({"alerts": {"rules": [{"a": 1}, 2]}})", "33: error: alerts.rules[1]: has no name"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.text);
    CHECK(refused(each.text).find("perjoule.json:1:" + std::string(each.refusal)) == 0);
  }
}

}  // namespace
}  // namespace perjoule::config
