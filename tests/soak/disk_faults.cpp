// disk_faults [--random=N] [--first=SEED]: makes disk operations of the history fail: each operation of two sealing
// windows, and N of an hour; once or for a while, with EIO or ENOSPC; some of them with the writer and its thread.
#define DOCTEST_CONFIG_IMPLEMENT  // the random histories belong to the unit tests
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstdio>
#include <random>
#include <string_view>

#include "tests/soak/arguments.hpp"
#include "tests/unit/storage/history/disk_faults.hpp"

namespace {

using namespace perjoule;
using namespace perjoule::storage;
using fakes::DiskFault;

constexpr DiskFault disk_faults[] = {DiskFault::io, DiskFault::full};

struct Total {
  int runs = 0;
  std::size_t problems = 0;
};

void tell(std::string_view what, const DiskFaults& faults, Total& total) {
  int runs = 0;
  std::string line;
  for (const auto& [operation, count] : faults.runs) {
    runs += count;
    line += fmt::format(", {} {}", operation, count);
  }
  for (const auto& problem : faults.problems)
    fmt::print("{}\n", problem);
  fmt::print("{}: {} runs with a fault{}; {} operations failed, {} offered again, {} opened; {} let through\n", what,
             runs, line, faults.failed, faults.retries, faults.reopened, faults.without);
  std::fflush(stdout);
  total.runs += runs;
  total.problems += faults.problems.size();
}

// Two sealing windows of fifteen minutes, a frame a minute; retention drops half of them meanwhile.
Shape two_windows(std::uint64_t seed) {
  Shape shape;
  shape.seed = seed;
  shape.frames = 31;
  shape.keep_ms = 900'000;
  return shape;
}

void each_operation(std::uint64_t seed, Total& total) {
  const Script script(two_windows(seed));
  const auto operations = static_cast<std::uint64_t>(rehearse(script).size());
  for (const Outage outage : {Outage::single, Outage::lasting}) {
    for (const DiskFault fault : disk_faults) {
      DiskFaults faults;
      for (std::uint64_t number = 1; number <= operations; ++number)
        play_with_fault(script, number, outage, fault, faults);
      tell(fmt::format("seed {}, each of {} operations, {}, {}", seed, operations, name(outage),
                       fault == DiskFault::full ? "ENOSPC" : "EIO"),
           faults, total);
    }
  }
  DiskFaults random;
  for (std::uint64_t number = 1; number <= 200; ++number)
    play_with_fault(script, seed * 1000 + number, Outage::random, disk_faults[number % 2], random);
  tell(fmt::format("seed {}, one operation in 25, seeds {} to {}", seed, seed * 1000 + 1, seed * 1000 + 200), random,
       total);
}

void some_of_an_hour(std::uint64_t seed, std::uint64_t count, Total& total) {
  Shape shape;
  shape.seed = seed;
  shape.frames = 720;
  shape.seconds = 5;
  shape.keep_ms = 1'200'000;
  shape.retain_every = 60;
  shape.reopen_every = 360;
  const Script script(shape);
  const std::size_t operations = rehearse(script).size();
  std::mt19937_64 random(seed);
  DiskFaults faults;
  for (std::uint64_t run = 0; run < count; ++run) {
    const std::uint64_t number = 1 + random() % operations;
    play_with_fault(script, number, run % 4 < 2 ? Outage::single : Outage::lasting, disk_faults[run % 2], faults);
  }
  tell(fmt::format("seed {}, {} of the {} operations of an hour", seed, count, operations), faults, total);
}

void through_the_writer(std::uint64_t seed, Total& total) {
  const Script script(two_windows(seed));
  const std::uint64_t operations = operations_of_writer(script);
  DiskFaults faults;
  for (std::uint64_t number = 1; number <= operations; number += 3)
    write_with_fault(script, number, number % 2 == 0 ? Outage::single : Outage::lasting, disk_faults[number % 4 / 2],
                     faults);
  tell(fmt::format("seed {}, each third of the writer's {} operations", seed, operations), faults, total);
}

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t seed = argument(argc, argv, "--first=", 1);
  Total total;
  each_operation(seed, total);
  some_of_an_hour(seed, argument(argc, argv, "--random=", 500), total);
  through_the_writer(seed, total);
  fmt::print("{} runs with failing operations from seed {}: {} problems\n", total.runs, seed, total.problems);
  return total.problems == 0 ? 0 : 1;
}
