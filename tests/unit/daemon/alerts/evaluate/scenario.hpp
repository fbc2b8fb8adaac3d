// Reads the scenarios in tests/fixtures/alerts (series over time and the expected alerts; the files describe their
// format) and runs one through the evaluator. tests/alerts_promtool.py runs the same files through promtool.
#pragma once

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cmath>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "config/json_reader.hpp"
#include "config/quantity_text.hpp"
#include "daemon/alerts/evaluate/evaluator.hpp"
#include "tests/unit/daemon/alerts/evaluate/rules.hpp"

namespace perjoule::alerts {

struct Scenario {
  struct Series {
    std::string metric;
    Labels labels;
    std::vector<std::optional<double>> values;  // none: the series is gone
  };
  std::string name;
  std::string alert;
  std::int64_t step_ms = 0;
  std::vector<Series> series;
  std::string fires;  // expected: [["SEVERITY", FIRST_STEP, END_STEP], ...] as config::json::write() formats it
  std::size_t steps = 0;
};

inline std::vector<std::optional<double>> values_of(std::string_view text) {
  std::vector<std::optional<double>> values;
  double last = 0;
  while (!text.empty()) {
    const std::string token(text.substr(0, text.find(' ')));
    text.remove_prefix(std::min(token.size() + 1, text.size()));
    const std::size_t star = token.find('*');
    REQUIRE(star != std::string::npos);
    const std::string what = token.substr(0, star);
    for (int count = std::stoi(token.substr(star + 1)); count > 0; --count) {
      if (what == "stale") {
        values.emplace_back();
        continue;
      }
      last = what.front() == '+' ? last + std::stod(what.substr(1)) : std::stod(what);
      values.emplace_back(last);
    }
  }
  return values;
}

inline Scenario::Series series_of(std::string_view name, std::string_view values) {
  const std::size_t brace = std::min(name.find('{'), name.size());
  std::string_view inside = name.substr(brace);
  if (!inside.empty()) inside = inside.substr(1, inside.size() - 2);
  const std::optional<Labels> labels = parse_labels(inside);
  REQUIRE(labels);
  return {std::string(name.substr(0, brace)), *labels, values_of(values)};
}

// `file`: scenarios.json for the rules of nineteen.json, defaults.json for the default rules.
inline std::vector<Scenario> scenarios(const std::string& file) {
  const std::string text = file_text("tests/fixtures/alerts/" + file);
  const config::json::Document document = config::json::read(text);
  REQUIRE(document.root);
  std::vector<Scenario> all;
  for (const config::json::Value& section : document.root->items) {
    if (section.key != "scenarios") continue;
    for (const config::json::Value& item : section.items) {
      Scenario scenario;
      for (const config::json::Value& member : item.items) {
        if (member.key == "name") scenario.name = member.text;
        if (member.key == "alert") scenario.alert = member.text;
        if (member.key == "step") scenario.step_ms = std::llround(*config::parse_duration(member.text) * 1000);
        if (member.key == "fires") scenario.fires = config::json::write(member);
        if (member.key != "series") continue;
        for (const config::json::Value& series : member.items)
          scenario.series.push_back(series_of(series.key, series.text));
      }
      for (const Scenario::Series& series : scenario.series)
        scenario.steps = std::max(scenario.steps, series.values.size());
      all.push_back(std::move(scenario));
    }
  }
  return all;
}

// Runs one scenario against one rule and reports what fired, in the format of the file, in the order of firing.
class Player {
 public:
  Player(const Scenario& scenario, const Rule& rule) : scenario_(scenario) {
    CHECK(evaluator.set_rules({rule}, {}).empty());
    for (const Scenario::Series& series : scenario.series)
      places_.push_back(evaluator.adopt(series.metric, series.labels));
    newest_.resize(places_.size());
  }

  std::string play() {
    for (std::size_t step = 0; step < scenario_.steps; ++step)
      play(step);
    for (Fire& fire : fires_) {
      if (fire.to == 0) fire.to = scenario_.steps;
    }
    std::string text;
    for (const Fire& fire : fires_)
      text += fmt::format("{}[\"{}\", {}, {}]", text.empty() ? "" : ", ", fire.severity, fire.from, fire.to);
    return "[" + text + "]";
  }

  Evaluator evaluator;

 private:
  struct Fire {
    std::string severity;
    Labels labels;
    std::size_t from = 0;
    std::size_t to = 0;
  };

  void play(std::size_t step) {
    const std::int64_t now_ms = 1'000'000 + static_cast<std::int64_t>(step) * scenario_.step_ms;
    for (std::size_t i = 0; i < places_.size(); ++i) {
      const auto& values = scenario_.series[i].values;
      const bool there = step < values.size() && values[step];
      newest_[i] =
          there ? Observation{now_ms, *values[step], true} : Observation{newest_[i].at_ms, newest_[i].value, false};
      for (const Evaluator::Place& place : places_[i])
        evaluator.observe(place, newest_[i], now_ms);
    }
    for (const Transition& transition : evaluator.evaluate({now_ms, now_ms})) {
      const Alert& alert = transition.alert;
      if (transition.change == Change::firing) fires_.push_back({alert.severity, alert.labels, step, 0});
      if (alert.phase != Phase::resolved) continue;
      for (Fire& fire : fires_) {
        if (fire.to == 0 && fire.severity == alert.severity && fire.labels == alert.labels) fire.to = step;
      }
    }
  }

  const Scenario& scenario_;
  std::vector<std::vector<Evaluator::Place>> places_;
  std::vector<Observation> newest_;
  std::vector<Fire> fires_;
};

}  // namespace perjoule::alerts
