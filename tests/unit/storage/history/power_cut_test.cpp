// tests/soak/power_cut.sh shows ten times as many.
#include "tests/unit/storage/history/power_cut.hpp"

#include <doctest/doctest.h>

namespace perjoule::storage {

TEST_CASE("power cut: what was acknowledged is there, and the history goes on") {
  PowerCuts cuts;
  Shape shape;
  for (shape.seed = 1; shape.seed <= 4; ++shape.seed)
    cut_power(shape, 7, cuts);
  for (const auto& problem : cuts.problems)
    FAIL_CHECK(problem);
  for (const Phase phase : phases) {
    if (phase == Phase::seal && !seals<SqliteStore>) continue;
    const std::string which = name(phase);
    CAPTURE(which);
    CHECK(cuts.cuts[phase] >= 4);
  }
  CHECK(cuts.examined > 100);
  CHECK(cuts.unacknowledged >= 4);
  CHECK(cuts.cut_again >= 4);
}

}  // namespace perjoule::storage
