// The metric families that a rule may name: those of this build, and those of the published vocabulary that later
// versions will add, so that a rule can be written before its metric exists. Histograms are excluded, because they have
// no single value to compare.
//
// Built once from constants; any thread.
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
  bool open = false;      // its labels are not final yet: any label is accepted
  bool produced = false;  // by this build
  // A label that says how the value is known and has one value at a time: a term without aggregation is the value,
  // whatever this label is. "": there is no such label.
  std::string_view how = {};
};
using Catalogue = std::map<std::string_view, Family>;

[[nodiscard]] const Catalogue& catalogue();
// Only the published vocabulary.
[[nodiscard]] Catalogue published();

}  // namespace perjoule::alerts
