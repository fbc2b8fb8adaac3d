// Every family that a rule may name: those of this build, and the published vocabulary that later versions bring, so
// that a rule can be written before its metric exists. A histogram has no single value and is none of them.
//
// Made once from constants; any thread.
#pragma once

#include <map>
#include <string_view>
#include <vector>

#include "collectors/metric.hpp"

namespace perjoule::alerts {

struct Family {
  std::string_view name;
  Kind kind = Kind::gauge;
  std::vector<std::string_view> labels;
  bool open = false;      // its labels are not settled yet: any is taken
  bool produced = false;  // by this build
};
using Catalogue = std::map<std::string_view, Family>;

[[nodiscard]] const Catalogue& catalogue();
// The published vocabulary alone.
[[nodiscard]] Catalogue published();

}  // namespace perjoule::alerts
