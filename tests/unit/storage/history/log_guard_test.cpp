#include "storage/history/log_guard.hpp"

#include <doctest/doctest.h>

#include <memory>

#include "tests/unit/storage/history/history_file.hpp"

namespace perjoule::storage {

namespace {

constexpr std::int64_t limit = 4 << 20;
constexpr std::int64_t slack = 256 << 10;

std::int64_t on_disk(const std::filesystem::path& path) {
  std::error_code error;
  const auto log = std::filesystem::file_size(path.string() + "-wal", error);
  return static_cast<std::int64_t>(std::filesystem::file_size(path) + (error ? 0 : log));
}

// What a writer does every five seconds; false: the append was refused.
bool append(Store& store, const Frame& frame) {
  const bool appended = store.append(frame).has_value();
  if (!appended) return false;
  for (int call = 0; call < 2; ++call)
    REQUIRE(store.seal());
  for (int call = 0; call < 4; ++call)
    REQUIRE(store.retain({0, 0, 0, limit}));
  return true;
}

struct Reader {
  explicit Reader(const std::filesystem::path& path) : connection(open(path)) {
    REQUIRE(connection.run("BEGIN"));
    REQUIRE(connection.integer("SELECT count(*) FROM tail"));
  }
  static Connection open(const std::filesystem::path& path) {
    auto opened = open_database_read_only(path, history_format);
    REQUIRE(opened);
    return std::move(*opened);
  }
  Connection connection;
};

struct Counts {
  int appended = 0;
  int refused = 0;
  std::int64_t peak = 0;
  std::vector<std::string> lines;
  std::uint64_t starved = 0;
};

Counts run(Store& store, RandomHistory& history, const std::filesystem::path& path, int minutes) {
  Counts counts;
  for (int n = 0; n < minutes * 12; ++n) {
    ++(append(store, history.next_frame(5)) ? counts.appended : counts.refused);
    counts.peak = std::max(counts.peak, on_disk(path));
    const StoreNews news = store.take_news();
    counts.lines.insert(counts.lines.end(), news.lines.begin(), news.lines.end());
    counts.starved += news.starved_checkpoints;
  }
  return counts;
}

}  // namespace

TEST_CASE("log guard: a reader that is open for hours is named once, and the size limit holds; then all goes on") {
  const Scratch scratch;
  const auto path = scratch / "history.db";
  auto store = open_store(path);
  RandomHistory history(5, 40);  // 480 series
  const Counts before = run(*store, history, path, 60);
  CHECK(before.refused == 0);
  CHECK(before.lines.empty());
  CHECK(before.peak <= limit + slack);
  {
    const Reader reader(path);
    const Counts during = run(*store, history, path, 120);
    CHECK(during.peak <= limit + slack);
    CHECK(during.refused > 0);
    CHECK(during.starved == 1);
    REQUIRE(during.lines.size() == 1);
    CHECK(during.lines[0].find(fmt::format("pid {} (a query of this daemon)", ::getpid())) != std::string::npos);
    CHECK(during.lines[0].find("more than a minute") != std::string::npos);
    auto error = store->append(history.next_frame(5));
    REQUIRE_FALSE(error);
    CHECK(error.error().fault == Fault::transient);
    CHECK(error.error().what.find("size limit") != std::string::npos);
  }
  const Counts after = run(*store, history, path, 60);
  CHECK(after.peak <= limit + slack);
  CHECK(after.refused == 0);
  CHECK(after.starved == 0);
  REQUIRE(after.lines.size() == 1);
  CHECK(after.lines[0].find("no reader keeps") != std::string::npos);
  CHECK(on_disk(path) <= limit);
}

TEST_CASE("log guard: a reader of less than a minute is not worth a line") {
  const Scratch scratch;
  const auto path = scratch / "history.db";
  auto store = open_store(path);
  RandomHistory history(6, 200);
  run(*store, history, path, 10);
  for (int n = 0; n < 5; ++n) {
    auto reader = std::make_unique<Reader>(path);
    CHECK(run(*store, history, path, 1).lines.empty());
    reader.reset();
    CHECK(run(*store, history, path, 1).lines.empty());
  }
}

TEST_CASE("log guard: without a size limit a reader is named, and nothing is refused") {
  const Scratch scratch;
  const auto path = scratch / "history.db";
  auto store = open_store(path);
  RandomHistory history(7, 40);
  const Reader reader(path);
  int lines = 0;
  for (int n = 0; n < 240; ++n) {
    REQUIRE(store->append(history.next_frame(5)));
    REQUIRE(store->retain({}));
    lines += static_cast<int>(store->take_news().lines.size());
  }
  CHECK(lines == 1);
}

}  // namespace perjoule::storage
