// power_cut [--cuts=N] [--first=SEED]: cuts the power while history is stored, 21 times for each script of an hour or
// two. Fails if a phase gets less than a tenth of the cuts.
#define DOCTEST_CONFIG_IMPLEMENT  // the random histories belong to the unit tests
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "tests/soak/arguments.hpp"
#include "tests/unit/storage/history/power_cut.hpp"

int main(int argc, char** argv) {
  using namespace perjoule;
  using namespace perjoule::storage;
  const auto cuts = static_cast<int>(argument(argc, argv, "--cuts=", 210));
  const std::uint64_t first = argument(argc, argv, "--first=", 1);
  constexpr int cuts_per_script = 21;  // three in each phase

  PowerCuts out;
  Shape shape;
  shape.seed = first;
  for (int left = cuts; left > 0; left -= cuts_per_script, ++shape.seed) {
    // Alternately many small commits, and few commits that are large enough to cause a checkpoint each.
    const bool large = shape.seed % 2 == 0;
    shape.seconds = large ? 240 : 20;
    shape.groups = large ? 12 : 3;
    shape.frames = large ? 30 : 180;
    shape.keep_ms = large ? 1'800'000 : 900'000;
    shape.reopen_every = large ? 0 : 30;
    const int before = out.examined;
    cut_power(shape, std::min(left, cuts_per_script), out);
    fmt::print("seed {}: {} disks examined\n", shape.seed, out.examined - before);
  }
  for (const auto& problem : out.problems)
    fmt::print("{}\n", problem);
  bool enough = true;
  std::string line;
  for (const Phase phase : phases) {
    if (phase == Phase::seal && !seals<SqliteStore>) continue;
    line += fmt::format(", {} {}", name(phase), out.cuts[phase]);
    enough = enough && out.cuts[phase] * 10 >= cuts;
  }
  if (!enough) fmt::print("a phase got too few cuts\n");
  fmt::print("{} cuts left a frame unacknowledged, {} left nothing unsynced, {} were followed by one in the recovery\n",
             out.unacknowledged, out.without_loss, out.cut_again);
  fmt::print("{} cuts from seed {}{}; {} disks opened after them, {} problems\n", cuts, first, line, out.examined,
             out.problems.size());
  return out.problems.empty() && enough ? 0 : 1;
}
