// A sample of operations. tests/soak/disk_faults.sh makes every operation of two sealing windows fail.
#include "tests/unit/storage/history/disk_faults.hpp"

#include <doctest/doctest.h>

namespace perjoule::storage {

namespace {

using fakes::DiskFault;

void check(const DiskFaults& faults) {
  for (const auto& problem : faults.problems)
    FAIL_CHECK(problem);
}

}  // namespace

TEST_CASE("disk faults: nothing is lost when any operation of a short run fails, once or for a while") {
  Shape shape;
  shape.frames = 12;
  shape.seconds = 20;
  shape.groups = 1;
  shape.keep_ms = 80'000;
  shape.retain_every = 3;
  shape.reopen_every = 5;
  const Script script(shape);
  const auto operations = static_cast<std::uint64_t>(rehearse(script).size());
  DiskFaults faults;
  for (std::uint64_t number = 1; number <= operations; ++number) {
    play_with_fault(script, number, Outage::single, DiskFault::io, faults);
    if (number % 2 == 1) play_with_fault(script, number, Outage::single, DiskFault::full, faults);
    if (number % 4 == 0) play_with_fault(script, number, Outage::lasting, DiskFault::io, faults);
    if (number % 4 == 2) play_with_fault(script, number, Outage::lasting, DiskFault::full, faults);
  }
  check(faults);
  for (const char* each : {"open database", "read database", "write database", "sync database", "open wal", "read wal",
                           "write wal", "sync wal", "remove wal", "write journal", "sync journal", "remove journal"}) {
    CAPTURE(each);
    CHECK(faults.runs[each] > 0);
  }
  CHECK(faults.failed > operations);
  CHECK(faults.retries > operations / 2);
}

TEST_CASE("disk faults: nothing is lost when operations fail at random") {
  Shape shape;
  const Script script(shape);
  DiskFaults faults;
  for (std::uint64_t seed = 1; seed <= 10; ++seed)
    play_with_fault(script, seed, Outage::random, seed % 2 == 0 ? DiskFault::io : DiskFault::full, faults);
  check(faults);
  CHECK(faults.failed > 50);
}

TEST_CASE("disk faults: the writer recovers") {
  Shape shape;
  shape.frames = 12;
  shape.seconds = 10;
  shape.keep_ms = 60'000;
  const Script script(shape);
  const std::uint64_t operations = operations_of_writer(script);
  DiskFaults faults;
  for (std::uint64_t number = 1; number <= operations; number += 11) {
    const DiskFault fault = number % 2 == 0 ? DiskFault::io : DiskFault::full;
    write_with_fault(script, number, number % 3 == 2 ? Outage::lasting : Outage::single, fault, faults);
  }
  check(faults);
  CHECK(faults.failed > 20);
}

}  // namespace perjoule::storage
