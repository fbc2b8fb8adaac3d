#include "daemon/alerts/rules/rule_reader.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <random>
#include <set>

#include "daemon/alerts/rules/default_rules.hpp"
#include "tests/fakes/readings.hpp"
#include "tests/unit/daemon/alerts/evaluate/rules.hpp"

namespace perjoule::alerts {
namespace {

// One line "PATH @COLUMN: what | help" per problem.
std::string refusals(std::string_view text) {
  std::string lines;
  for (const config::json::Problem& problem : read_text(text).problems) {
    lines += fmt::format("{}{} @{}: {}", lines.empty() ? "" : "\n", problem.path, problem.place.column, problem.what);
    if (!problem.help.empty()) lines += " | " + problem.help;
  }
  return lines;
}

// A rule with one part replaced.
std::string rule(std::string_view parts, std::string_view level = R"("raise_above": 1)") {
  return fmt::format(R"([{{"alert": "A", {}, "levels": [{{"severity": "info", {}}}]}}])", parts, level);
}
constexpr std::string_view margin = R"("value": {"metric": "perjoule_gpu_thermal_margin_celsius"})";

TEST_CASE("a rule with every key is read as written") {
  const std::vector<Rule> rules = rules_of(R"([{
    "alert": "Busy", "//": "a remark",
    "value": {"metric": "perjoule_gpu_throttle_seconds_total", "match": {"reason": ["sw_thermal", "hw_thermal"]},
              "fn": "rate", "window": "5m", "max_by": ["gpu", "uuid"]},
    "minus": {"metric": "perjoule_gpu_deep_idle_watts"},
    "over": {"metric": "perjoule_gpu_state_seconds_total", "match": {"state": "active"}, "fn": "increase",
             "window": "1m"},
    "when": [{"value": {"metric": "perjoule_gpus"}, "below": 3}],
    "levels": [{"severity": "warning", "raise_above": 0.5, "clear_below": 0.25, "for": "1m30s", "clear_for": "20m"},
               {"severity": "critical", "raise_below": -1}],
    "hold": "10m", "on_absence": "hold", "summary": "GPU {gpu}: {value}", "runbook": "busy-gpu",
    "cause": "gpu-busy"}])");
  REQUIRE(rules.size() == 1);
  const Rule& read = rules.front();
  CHECK(read.name == "Busy");
  CHECK(read.expression.value.metric == "perjoule_gpu_throttle_seconds_total");
  CHECK(read.expression.value.match == std::vector<Match>{{"reason", {"sw_thermal", "hw_thermal"}}});
  CHECK(read.expression.value.function == Function::rate);
  CHECK(read.expression.value.window_ms == 300'000);
  CHECK(read.expression.value.aggregation == Aggregation::max);
  CHECK(read.expression.value.by == std::vector<std::string>{"gpu", "uuid"});
  CHECK(read.expression.minus->metric == "perjoule_gpu_deep_idle_watts");
  CHECK(is_fixed(*read.expression.over, "state"));
  REQUIRE(read.when.size() == 1);
  CHECK_FALSE(read.when[0].above);
  CHECK(read.when[0].threshold == 3);
  REQUIRE(read.levels.size() == 2);
  CHECK(read.levels[0] == Level{"warning", true, 0.5, 0.25, 90'000, 1'200'000});
  CHECK(read.levels[1] == Level{"critical", false, -1, std::nullopt, 0, 0});
  CHECK(read.hold_ms == 1'200'000);  // raised to the longest clear_for
  CHECK(read.summary == "GPU {gpu}: {value}");
  CHECK(read.runbook == "busy-gpu");
  CHECK(read.cause == "gpu-busy");
}

TEST_CASE("on_absence resolve: a firing alert without data is not held, whatever its clear_for") {
  const std::vector<Rule> rules = rules_of(R"([{"alert": "A", "value": {"metric": "perjoule_gpu_power_watts"},
    "levels": [{"severity": "info", "raise_above": 1, "clear_for": "5m"}], "on_absence": "resolve"}])");
  CHECK(rules.at(0).hold_ms == 0);
  CHECK(condition_text(rules[0], rules[0].levels[0]).ends_with("; held without data for 0s"));
}

TEST_CASE("omitted keys have their defaults") {
  const std::vector<Rule> rules = rules_of(rule(margin));
  REQUIRE(rules.size() == 1);
  CHECK(rules[0].hold_ms == 900'000);
  CHECK(rules[0].levels[0] == Level{"info", true, 1, std::nullopt, 0, 0});
  CHECK(rules[0].summary == "A: {value}, gpu {gpu}, uuid {uuid}");
}

TEST_CASE("the nineteen example rules are accepted") {
  const std::vector<Rule> rules = nineteen_rules();
  CHECK(rules.size() == 19);
  std::set<std::string> names;
  std::size_t levels = 0;
  for (const Rule& read : rules) {
    names.insert(read.name);
    levels += read.levels.size();
  }
  CHECK(names.size() == 19);
  CHECK(levels == 28);
}

TEST_CASE("the default rules are valid, and each has a summary and a runbook") {
  const config::json::Document document = config::json::read(default_rules_text());
  REQUIRE(document.root);
  for (const config::json::Problem& problem : read_rules(*document.root, catalogue(), {}).problems)
    FAIL_CHECK(problem.path << ": " << problem.what);
  CHECK(default_rules().size() == document.root->items.size());
  for (const config::json::Value& item : document.root->items) {
    const auto has = [&item](std::string_view key) {
      return std::any_of(item.items.begin(), item.items.end(), [key](const auto& member) { return member.key == key; });
    };
    CHECK(has("summary"));
    CHECK(has("runbook"));
  }
}

struct Case {
  std::string text;
  std::string_view refusal;
};

TEST_CASE("each mistake is refused at its place, with a remedy") {
  const std::string throttle = R"("value": {"metric": "perjoule_gpu_throttle_seconds_total")";
  const Case cases[] = {
      {R"({})", "alerts.rules @1: expected an array, got an object"},
      {R"([1])", "alerts.rules[0] @2: expected an object, got a number"},
      {R"([{}])", "alerts.rules[0] @2: missing \"alert\" | the name of the alert"},
      {R"([{"alert": "1 a"}])",
       "alerts.rules[0].alert @12: \"1 a\" is not a valid alert name | use letters, digits and _, with no digit first, "
       "such as PerjouleGpuLost"},
      {R"([{"alert": "A"}])", "alerts.rules[0] @2: missing \"value\"\nalerts.rules[0] @2: missing \"levels\""},
      {R"([{"alert": "PerjouleGpuLst", "enabled": false}])",
       "alerts.rules[0].alert @12: no default rule has this name | did you mean \"PerjouleGpuLost\"?"},
      {rule(R"("valu": 1, )" + std::string(margin)), "alerts.rules[0].valu @17: unknown key | did you mean \"value\"?"},
      {rule(R"("value": {"metric": "perjoule_gpu_thermal_margin"})"),
       "alerts.rules[0].value.metric @37: unknown metric \"perjoule_gpu_thermal_margin\" | did you mean "
       "\"perjoule_gpu_thermal_margin_celsius\"?"},
      {rule(throttle + R"(, "match": {"raeson": "thermal"}, "fn": "rate", "window": "1m"})"),
       "alerts.rules[0].value.match.raeson @86: perjoule_gpu_throttle_seconds_total has no label \"raeson\" | did you "
       "mean \"reason\"?"},
      {rule(throttle + R"(, "match": {"reason": []}, "fn": "rate", "window": "1m"})"),
       "alerts.rules[0].value.match.reason @96: empty list: nothing would match"},
      {rule(throttle + R"(, "fn": "rates", "window": "1m"})"),
       "alerts.rules[0].value.fn @82: expected one of last, rate, increase, delta, avg, min, max, age, got \"rates\" | "
       "did you mean \"rate\"?"},
      {rule(throttle + R"(, "fn": "rate"})"),
       "alerts.rules[0].value.fn @82: rate requires a window | add \"window\": \"5m\""},
      {rule(throttle + R"(, "fn": "delta", "window": "5m"})"),
       "alerts.rules[0].value.fn @82: delta requires a gauge: perjoule_gpu_throttle_seconds_total is a counter | use "
       "\"increase\", or \"rate\" for the mean per second"},
      {rule(R"("value": {"metric": "perjoule_gpus", "fn": "rate", "window": "5m"})"),
       "alerts.rules[0].value.fn @60: rate requires a counter: perjoule_gpus is a gauge | use \"delta\""},
      {rule(R"("value": {"metric": "perjoule_gpus", "window": "5m"})"),
       "alerts.rules[0].value.window @54: window without a function | add \"fn\": \"avg\", or remove \"window\""},
      {rule(R"("value": {"metric": "perjoule_gpus", "fn": "avg", "window": 300})"),
       "alerts.rules[0].value.window @77: expected a duration such as \"5m\", got a number | write \"300s\" for "
       "seconds"},
      {rule(R"("value": {"metric": "perjoule_gpus", "fn": "avg", "window": "10ms"})"),
       "alerts.rules[0].value.window @77: 10ms is out of range | the range is 1s to 7d"},
      {rule(R"("value": {"metric": "perjoule_gpu_power_watts", "sum_by": [], "max_by": []})"),
       "alerts.rules[0].value.max_by @79: conflicts with sum_by | use one aggregation per term"},
      {rule(R"("value": {"metric": "perjoule_gpu_power_watts", "sum_by": "gpu"})"),
       "alerts.rules[0].value.sum_by @75: expected an array, got a string | write [\"gpu\"]"},
      {rule(R"("value": {"metric": "perjoule_gpu_power_watts", "sum_by": ["node"]})"),
       "alerts.rules[0].value.sum_by[0] @76: perjoule_gpu_power_watts has no label \"node\" | its labels: gpu, uuid"},
      {rule(R"("value": {"metric": "perjoule_job_energy_joules_total"})"),
       "alerts.rules[0].value.metric @37: the labels of perjoule_job_energy_joules_total are not final yet | "
       "aggregate it: \"sum_by\": [..]"},
      {rule(R"("value": {"metric": "perjoule_gpu_ecc_errors_total"})"),
       "alerts.rules[0].value @26: label severity is reserved: the daemon sets it on every alert | select one value "
       "with "
       "\"match\", or remove the label with \"sum_by\""},
      {rule(R"("value": {"metric": "perjoule_gpus"}, "over": {"metric": "perjoule_gpu_power_watts"})"),
       "alerts.rules[0].over @63: ambiguous join: perjoule_gpu_power_watts can have several series, because "
       "perjoule_gpus does not share its label gpu | select one value with \"match\": { \"gpu\": .. }, or aggregate "
       "with \"max_by\""},
      {rule(R"("when": [{"value": {"metric": "perjoule_gpu_power_watts"}, "above": 1}], )"
            R"("value": {"metric": "perjoule_gpus"})"),
       "alerts.rules[0].when[0].value @36: ambiguous join: perjoule_gpu_power_watts can have several series, because "
       "perjoule_gpus does not share its label gpu | select one value with \"match\": { \"gpu\": .. }, or aggregate "
       "with \"max_by\""},
      {rule(R"("when": [{"value": {"metric": "perjoule_gpus"}}], )" + std::string(margin)),
       "alerts.rules[0].when[0] @26: missing \"above\" or \"below\""},
      {R"([{"alert": "A", )" + std::string(margin) + R"(, "levels": []}])",
       "alerts.rules[0].levels @87: empty list: the rule could never fire"},
      {rule(margin, R"("raise_above": 1, "raise_below": 2)"),
       "alerts.rules[0].levels[0].raise_below @127: conflicts with raise_above | use one of the two"},
      {rule(margin, R"("for": "1m")"), "alerts.rules[0].levels[0] @88: missing \"raise_above\" or \"raise_below\""},
      {rule(margin, R"("raise_below": 5, "clear_below": 8)"),
       "alerts.rules[0].levels[0].clear_below @127: cannot be combined with raise_below | use \"clear_above\""},
      {rule(margin, R"("raise_below": 5, "clear_above": 4)"),
       "alerts.rules[0].levels[0].clear_above @142: 4 is on the wrong side of raise_below 5: one value could raise and "
       "clear | must be at least 5"},
      {rule(margin, R"("raise_above": "5")"),
       "alerts.rules[0].levels[0].raise_above @124: expected a number, got a string"},
      {rule(margin, R"("raise_above": 5, "for": "1 minute")"),
       "alerts.rules[0].levels[0].for @134: \"1 minute\" is not a duration | write whole numbers with units, such as "
       "5s, 1h30m or 30d (ms s m h d w y)"},
      {R"([{"alert": "A", )" + std::string(margin) +
           R"(, "levels": [{"severity": "info", "raise_above": 1}, {"severity": "info", "raise_above": 2}]}])",
       "alerts.rules[0].levels[1] @128: duplicate severity info | use one level per severity"},
      {R"([{"alert": "A", )" + std::string(margin) + R"(, "levels": [{"severity": "fatal", "raise_above": 1}]}])",
       "alerts.rules[0].levels[0].severity @101: expected one of info, warning, critical, got \"fatal\""},
      {rule(std::string(margin) + R"(, "summary": "{gpux} {value}")"),
       "alerts.rules[0].summary @88: unknown placeholder \"gpux\" | did you mean \"gpu\"?"},
      {rule(std::string(margin) + R"(, "summary": "{gpu")"),
       "alerts.rules[0].summary @88: unbalanced brace | placeholders are {value} and {LABEL}"},
      {rule(std::string(margin) + R"(, "runbook": "../x")"),
       "alerts.rules[0].runbook @88: \"../x\" is neither a runbook page name nor a URL | a page name has lower-case "
       "letters, digits and -; a URL begins with http:// or https://"},
      {rule(std::string(margin) + R"(, "summary": "{value:percents}")"),
       "alerts.rules[0].summary @88: unknown placeholder \"value:percents\" | did you mean \"value:percent\"?"},
      {rule(std::string(margin) + R"(, "cause": "Too hot")"),
       "alerts.rules[0].cause @86: \"Too hot\" is not a valid cause | use lower-case letters, digits and -, such as "
       "\"gpu-heat\""},
      {rule(std::string(margin) + R"(, "on_absence": "drop")"),
       "alerts.rules[0].on_absence @91: expected one of hold, resolve, got \"drop\""},
      {rule(std::string(margin) + R"(, "on_absence": "resolve", "hold": "1m")"),
       "alerts.rules[0].hold @102: conflicts with on_absence resolve | use one of the two"},
      {rule(std::string(margin) + R"(, "hold": "8d")"),
       "alerts.rules[0].hold @85: 8d is out of range | the range is 0s to 7d"},
  };
  for (const Case& each : cases) {
    CAPTURE(each.text);
    CHECK(refusals(each.text) == each.refusal);
  }
}

TEST_CASE("all problems are reported in one run; a duplicate name gives the line of the first") {
  CHECK(refusals("[" + rule(margin).substr(1, rule(margin).size() - 2) + ",\n" + rule(margin).substr(1)) ==
        "alerts.rules[1].alert @11: duplicate alert name A, first in line 1");
  CHECK(refusals(R"([{"alert": "A", "vale": 1}, {"alert": "B", "leves": 1}])") ==
        "alerts.rules[0].vale @17: unknown key | did you mean \"value\"?\n"
        "alerts.rules[0] @2: missing \"value\"\nalerts.rules[0] @2: missing \"levels\"\n"
        "alerts.rules[1].leves @44: unknown key | did you mean \"levels\"?\n"
        "alerts.rules[1] @29: missing \"value\"\nalerts.rules[1] @29: missing \"levels\"");
}

TEST_CASE("configured rules are added to the default rules, replace them, or switch them off") {
  config::Alerts settings;
  const std::size_t defaults = default_rules().size();
  CHECK(rules_in_force(settings).size() == defaults);
  settings.rules = rule(margin);
  CHECK(rules_in_force(settings).size() == defaults + 1);
  settings.rules = R"([{"alert": "PerjouleGpuLost", "enabled": false}])";
  CHECK(rules_in_force(settings).size() == defaults - 1);
  settings.rules = R"([{"alert": "PerjouleGpuLost", "value": {"metric": "perjoule_gpus"},
                        "levels": [{"severity": "info", "raise_below": 8}]}])";
  const std::vector<Rule> replaced = rules_in_force(settings);
  CHECK(replaced.size() == defaults);
  CHECK(std::count_if(replaced.begin(), replaced.end(),
                      [](const Rule& each) { return each.name == "PerjouleGpuLost"; }) == 1);
  CHECK(replaced.back().levels.front().severity == "info");
  settings.default_rules = false;
  CHECK(rules_in_force(settings).size() == 1);
}

TEST_CASE("random input: every rule that is accepted can be evaluated") {
  std::mt19937_64 random(20'261'124);
  const std::string whole = file_text("tests/fixtures/alerts/nineteen.json");
  std::size_t read = 0;
  std::size_t refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string text = whole;
    const std::size_t edits = 1 + random() % 4;
    for (std::size_t edit = 0; edit < edits; ++edit) {
      const std::size_t at = random() % text.size();
      switch (random() % 3) {
        case 0:
          text.erase(at, 1 + random() % 20);
          break;
        case 1:
          text.insert(at, hostile(random, R"({}[],:"0123456789.-\ perjoule_rate"alert")", 12));
          break;
        default:
          text[at] = static_cast<char>(random() % 256);
          break;
      }
    }
    const config::json::Document document = config::json::read(text);
    if (!document.root) continue;
    const RuleList list = read_rules(*document.root, catalogue(), {});
    (list.problems.empty() ? read : refused) += 1;
    for (const config::json::Problem& problem : list.problems) {
      CHECK(problem.place.offset <= document.text.size());
      CHECK_FALSE(problem.what.empty());
    }
    if (!list.problems.empty()) continue;
    for (const Rule& each : list.rules) {
      CHECK_FALSE(each.name.empty());
      CHECK_FALSE(each.levels.empty());
      for (const Term* term : terms(each)) {
        CHECK(catalogue().contains(term->metric));
        CHECK(has_window(*term) == (term->window_ms > 0 && term->function != Function::age));
      }
    }
  }
  CHECK(read > 50);
  CHECK(refused > 50);
}

}  // namespace
}  // namespace perjoule::alerts
