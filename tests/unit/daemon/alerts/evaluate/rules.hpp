// Reads rules from JSON for the tests; a problem in the JSON fails the test.
#pragma once

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "daemon/alerts/rules/rule_reader.hpp"

namespace perjoule::alerts {

inline RuleList read_text(std::string_view text) {
  const config::json::Document document = config::json::read(text);
  REQUIRE(document.root);
  static constexpr std::string_view defaults[] = {"PerjouleGpuLost", "PerjouleSourceStuck"};
  return read_rules(*document.root, catalogue(), defaults);
}

inline std::vector<Rule> rules_of(std::string_view text) {
  RuleList list = read_text(text);
  for (const config::json::Problem& problem : list.problems)
    FAIL_CHECK(problem.path << ": " << problem.what);
  return std::move(list.rules);
}

inline std::string file_text(const std::string& name) {
  std::ifstream file(PERJOULE_SOURCE_DIR "/" + name);
  REQUIRE(file.is_open());
  return {std::istreambuf_iterator<char>(file), {}};
}

inline std::vector<Rule> nineteen_rules() {
  return rules_of(file_text("tests/fixtures/alerts/nineteen.json"));
}

}  // namespace perjoule::alerts
