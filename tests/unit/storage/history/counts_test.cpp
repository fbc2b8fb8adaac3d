// A store's counts of refused, expired and undecodable data: each is counted once, whatever the disk does.
#include <doctest/doctest.h>

#include <numeric>

#include "storage/codec/varint.hpp"
#include "storage/history/history_reader.hpp"
#include "storage/history/slot.hpp"
#include "tests/fakes/disk.hpp"
#include "tests/unit/storage/history/history.hpp"
#include "tests/unit/storage/history/history_file.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

TEST_CASE("counts: expired samples are counted once, however often dropping them fails") {
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

TEST_CASE("counts: a damaged row is counted once, though its groups are sealed separately") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  RandomHistory history(6, 40, 60'000);
  auto store = open_store(path);
  const Frame first = history.next_frame(3);
  REQUIRE(store->append(first));
  const std::int64_t rows = number(path, "SELECT count(*) FROM tail");
  store.reset();
  // Changes the checksum of the first group of each row.
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

namespace {

// Offset of the second column of a chunk, or of the columns of the second series of a roll-up. The first series of a
// roll-up also has the counts and seconds of the others.
std::size_t second_part(std::string_view chunk) {
  ByteReader reader(chunk);
  reader.little_endian(1);  // format
  const std::uint64_t together = reader.varint();
  reader.varint();  // ticks
  const std::uint64_t columns = reader.varint();
  std::size_t before = 3 * 4;  // checksums of the head, the timestamps and the first part
  for (std::uint64_t n = 0; n <= columns; ++n) {
    const std::uint64_t size = reader.varint();
    if (n <= together) before += size;
  }
  return chunk.size() - reader.left() + before;
}

// Changes the byte there.
void damage(const std::filesystem::path& path, const std::string& table, std::int64_t key) {
  auto connection = Connection::open(path, Connection::Mode::read_write);
  REQUIRE(connection);
  std::string blob;
  {
    auto select = connection->prepare("SELECT d FROM " + table + " WHERE k = ?1");
    REQUIRE(select);
    REQUIRE(select->bind(1, key).step());
    blob = select->blob(0);
  }
  char& byte = blob.at(second_part(blob));
  byte = static_cast<char>(byte ^ 0x55);
  auto update = connection->prepare("UPDATE " + table + " SET d = ?2 WHERE k = ?1");
  REQUIRE(update);
  REQUIRE(update->bind(1, key).bind_blob(2, blob).run());
}

// Writes one group and seals all that is due. Returns the time of its end.
std::int64_t write_an_hour(const std::filesystem::path& path, std::uint64_t seed) {
  RandomHistory history(seed, 1, 10'000);
  auto store = open_store(path);
  for (int n = 0; n < 60; ++n) {
    REQUIRE(store->append(history.next_frame(6)));
    seal_all(*store);
  }
  return history.now_ms();
}

std::vector<std::int64_t> all_series(const std::filesystem::path& path) {
  std::vector<std::int64_t> ids(static_cast<std::size_t>(number(path, "SELECT count(*) FROM series")));
  std::iota(ids.begin(), ids.end(), 1);
  return ids;
}

std::int64_t samples(const std::vector<Point>& points) {
  return static_cast<std::int64_t>(points.size());
}
std::int64_t samples(const std::vector<Bucket>& buckets) {
  std::int64_t count = 0;
  for (const Bucket& bucket : buckets)
    count += bucket.count;
  return count;
}

}  // namespace

TEST_CASE("counts: a damaged column loses only its own series, and its blob is counted once") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  const std::int64_t end_ms = write_an_hour(path, 8);
  const std::vector<std::int64_t> ids = all_series(path);
  const auto check = [&](const std::string& table, const auto& ask) {
    CAPTURE(table);
    const auto read = [&](std::uint64_t undecodable) {
      auto connection = open_history(path);
      REQUIRE(connection);
      HistoryReader reader(*connection);
      auto got = ask(reader);
      REQUIRE(got);
      CHECK(reader.undecodable() == undecodable);
      return std::move(*got);
    };
    const auto before = read(0);
    damage(path, table, number(path, "SELECT max(k) FROM " + table));
    const auto after = read(1);
    int fewer = 0;
    for (std::size_t n = 0; n < before.size(); ++n)
      fewer += samples(after[n]) < samples(before[n]) ? 1 : 0;
    CHECK(fewer == 1);
  };
  const Range all{0, end_ms};
  check("roll_1m", [&](HistoryReader& reader) { return reader.buckets(ids, all, Resolution::minute, 100'000); });
  check("chunk", [&](HistoryReader& reader) { return reader.raw(ids, all, 100'000); });
}

TEST_CASE("counts: the limit of buckets also applies to damaged blobs") {
  Scratch scratch;
  const auto path = scratch / "history.db";
  const std::int64_t end_ms = write_an_hour(path, 9);
  const std::int64_t rows = number(path, "SELECT count(*) FROM roll_1m");
  for (std::int64_t row = 0; row < rows; ++row)
    damage(path, "roll_1m", number(path, fmt::format("SELECT k FROM roll_1m ORDER BY k LIMIT 1 OFFSET {}", row)));
  auto connection = open_history(path);
  REQUIRE(connection);
  HistoryReader reader(*connection);
  const std::vector<std::int64_t> ids = all_series(path);
  CHECK(reader.buckets(ids, {0, end_ms}, Resolution::minute, 100'000));
  CHECK(reader.undecodable() == static_cast<std::uint64_t>(rows));
  const auto refused = reader.buckets(ids, {0, end_ms}, Resolution::minute, 1);
  REQUIRE(!refused);
  CHECK(refused.error().fault == Fault::absent);
}

TEST_CASE("counts: a timestamp before 1970 is refused, and expires nothing") {
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
