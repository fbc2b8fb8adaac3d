#include "daemon/alerts/rules/catalogue.hpp"

#include <doctest/doctest.h>

#include <string_view>

namespace perjoule::alerts {
namespace {

TEST_CASE("where this build has a family of the vocabulary, kind and labels are the published ones") {
  const Catalogue vocabulary = published();
  CHECK(vocabulary.size() > 80);
  std::size_t produced = 0;
  for (const auto& [key, family] : catalogue()) {
    const std::string_view name = key;  // clang 14 captures no structured binding
    CAPTURE(name);
    const auto known = vocabulary.find(name);
    if (!family.produced || known == vocabulary.end() || known->second.open) continue;
    ++produced;
    CHECK(family.kind == known->second.kind);
    CHECK(family.labels == known->second.labels);
  }
  CHECK(produced > 20);
}

TEST_CASE("the name tells a counter") {
  for (const auto& [key, family] : published()) {
    const std::string_view name = key;
    CAPTURE(name);
    CHECK((family.kind == Kind::counter) == name.ends_with("_total"));
  }
}

}  // namespace
}  // namespace perjoule::alerts
