// What a store says that it refused, dropped and could not read: once each, whatever the disk does.
#include <doctest/doctest.h>

#include "storage/slot.hpp"
#include "tests/fakes/disk.hpp"
#include "tests/unit/storage/history.hpp"
#include "tests/unit/storage/history_file.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

TEST_CASE("counts: samples that expire count once, however often the disk refuses to drop them") {
  fakes::Disk disk(fakes::Disk::Memory::forgetful);
  auto store = open_store(disk / "history.db");
  RandomHistory history(5, 3, 10'000);
  for (int n = 0; n < 200; ++n) {
    const Frame frame = history.next_frame(6);
    REQUIRE(store->append(frame));
    history.expect(frame);
    seal_all(*store);
  }
  const RetentionPolicy policy{.raw_ms = 3'600'000};
  int refused = 0;
  for (std::uint64_t operation = 1; operation < 40; ++operation) {
    disk.fail_from(disk.operations() + operation, fakes::DiskFault::io);
    refused += store->retain(policy) ? 0 : 1;
    disk.heal();
    REQUIRE(store->append({}));
    CHECK(store->size()->expired_samples == count_points(history.cells()) - count_points(read_all(*store)));
  }
  CHECK(refused > 5);
  CHECK(store->size()->expired_samples > 0);
}

TEST_CASE("counts: a damaged row counts once, though each group of it is sealed by itself") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  RandomHistory history(6, 40, 60'000);
  auto store = open_store(path);
  const Frame first = history.next_frame(3);
  REQUIRE(store->append(first));
  const std::int64_t rows = number(path, "SELECT count(*) FROM tail");
  store.reset();
  // The first group of each row has another checksum.
  REQUIRE(Connection::open(path, Connection::Mode::read_write)
              ->run("UPDATE tail SET d = CAST(substr(d, 1, 40) || x'5555' || substr(d, 43) AS BLOB)"));
  store = open_store(path);
  history.restart();
  for (int n = 0; n < 60; ++n) {
    REQUIRE(store->append(history.next_frame(1)));
    seal_all(*store);
  }
  CHECK(store->size()->undecodable == static_cast<std::uint64_t>(rows));
}

TEST_CASE("counts: a stamp before 1970 is refused, and ages nothing") {
  Scratch scratch;
  auto store = open_store(scratch / "history.db");
  RandomHistory history(7, 1, 10'000);
  const RetentionPolicy policy{.raw_ms = 3'600'000};
  for (int n = 0; n < 1000; ++n) {
    Frame frame = history.next_frame(1);
    if (n == 500) frame.ticks.push_back({GroupId{0}, -5, {{SeriesId{0}, 1.0}}});
    REQUIRE(store->append(frame));
    seal_all(*store);
    while (*store->retain(policy)) {
    }
  }
  CHECK(store->size()->refused_samples == 1);
  CHECK(store->size()->oldest_ms >= history.now_ms() - 3'600'000 - 2 * slot_ms);
}

}  // namespace perjoule::storage
