#include "daemon/alerts/rules/catalogue.hpp"

#include <doctest/doctest.h>

#include <string_view>

namespace perjoule::alerts {
namespace {

TEST_CASE("families of this build have the kind and the labels of the published vocabulary") {
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

TEST_CASE("a family is a counter if and only if its name ends in _total") {
  for (const auto& [key, family] : published()) {
    const std::string_view name = key;
    CAPTURE(name);
    CHECK((family.kind == Kind::counter) == name.ends_with("_total"));
  }
}

}  // namespace
}  // namespace perjoule::alerts
