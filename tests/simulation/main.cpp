// simulation [--seeds=N] [--first=S] [--seconds=T] [--verbose]: an hour of virtual time per seed. Prints the failing
// seed; `--seeds=1 --first=S` repeats it.
#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "tests/simulation/world.hpp"

namespace {

std::uint64_t argument(int argc, char** argv, std::string_view name, std::uint64_t fallback) {
  for (int i = 1; i < argc; ++i) {
    std::string_view text(argv[i]);
    if (text.starts_with(name)) return std::strtoull(text.substr(name.size()).data(), nullptr, 10);
  }
  return fallback;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace perjoule::simulation;
  const std::uint64_t seeds = argument(argc, argv, "--seeds=", 200);
  const std::uint64_t first = argument(argc, argv, "--first=", 1);
  const auto seconds = static_cast<std::int64_t>(argument(argc, argv, "--seconds=", 3600));
  const bool verbose = argument(argc, argv, "--verbose=", 0) > 0;
  int failed = 0;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    const Outcome outcome = simulate(seed, seconds);
    std::string line = fmt::format("seed {}: {} ticks", seed, outcome.counts.ticks);
    bool complete = true;
    for (const auto& [event, count] : occurrences(outcome.counts)) {
      line += fmt::format(", {} {}", event, count);
      complete = complete && count > 0;
    }
    if (!complete) line += " -- an event never happened";
    if (verbose || !complete || !outcome.violations.empty()) fmt::print("{}\n", line);
    for (const std::string& violation : outcome.violations)
      fmt::print("  seed {}: {}\n", seed, violation);
    failed += complete && outcome.violations.empty() ? 0 : 1;
  }
  fmt::print("{} seeds passed, {} failed\n", seeds - static_cast<std::uint64_t>(failed), failed);
  return failed == 0 ? 0 : 1;
}
