// A process that appends is killed at random moments: every acknowledged frame is stored, and the files are intact.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "storage/history/sqlite_store.hpp"
#include "storage/ledger_file.hpp"
#include "tests/unit/storage/history/history.hpp"
#include "tests/unit/storage/scratch.hpp"

namespace perjoule::storage {

namespace {

constexpr std::uint64_t commits = 400;
constexpr std::int64_t period_ms = 5000;  // 400 commits span eleven slots

// Appends frame after frame and writes the number of each acknowledged one to a pipe. Never returns.
[[noreturn]] void append_for_ever(const std::filesystem::path& directory, std::uint64_t seed, int acknowledged) {
  Notes notes;
  auto ledger = LedgerFile::open(directory / "ledger.db", 0, notes);
  auto store = SqliteStore::open(directory / "history.db", 0, notes);
  if (!ledger || !store) ::_exit(1);
  RandomHistory history(seed, 4, period_ms);
  for (std::uint64_t n = 1; n <= commits; ++n) {
    const Frame frame = history.next_frame(5);
    if (!ledger->commit({{{"total", static_cast<std::int64_t>(n)}}, {}}) || !(*store)->append(frame)) ::_exit(2);
    if (!(*store)->seal() || !(*store)->retain({.bytes_max = 400 * 1024})) ::_exit(3);
    if (::write(acknowledged, &n, sizeof n) != sizeof n) ::_exit(4);
  }
  ::_exit(0);
}

}  // namespace

TEST_CASE("kill: every acknowledged frame is stored, and both files are intact") {
  std::mt19937_64 random(1);
  int in_the_middle = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    CAPTURE(seed);
    Scratch scratch;
    int ends[2];
    REQUIRE(::pipe(ends) == 0);
    const pid_t child = ::fork();
    REQUIRE(child >= 0);
    if (child == 0) append_for_ever(scratch.path(), seed, ends[1]);
    ::close(ends[1]);
    std::uint64_t last = 0;
    const std::uint64_t until = random() % commits;
    while (last < until && ::read(ends[0], &last, sizeof last) == sizeof last) {
    }
    // The child continues between its acknowledgement and the kill; some work here varies the moment of the kill.
    random.discard(random() % 300000);
    ::kill(child, SIGKILL);
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE((WIFSIGNALED(status) || WEXITSTATUS(status) == 0));
    while (::read(ends[0], &last, sizeof last) == sizeof last) {
    }
    ::close(ends[0]);
    if (last < commits) ++in_the_middle;

    Notes notes;
    auto ledger = LedgerFile::open(scratch / "ledger.db", 0, notes);
    auto store = SqliteStore::open(scratch / "history.db", 0, notes);
    REQUIRE(ledger);
    REQUIRE(store);
    CHECK(notes.empty());
    auto totals = ledger->load();
    REQUIRE(totals);
    if (last > 0) CHECK(totals->totals.at(0).millionths >= static_cast<std::int64_t>(last));

    // The frame after the last acknowledged one is stored completely or not at all.
    RandomHistory again(seed, 4, period_ms);
    const Cells stored = read_all(**store);
    const std::int64_t oldest_ms = (*store)->size()->oldest_ms;
    for (std::uint64_t n = 1; n <= last; ++n)
      again.expect(again.next_frame(5));
    const Cells acknowledged = only_from(again.cells(), oldest_ms);
    if (last < commits) again.expect(again.next_frame(5));
    CHECK((stored == acknowledged || stored == only_from(again.cells(), oldest_ms)));
    CHECK((*store)->undecodable() == 0);
    auto reader = open_database_read_only(scratch / "history.db", history_format);
    REQUIRE(reader);
    CHECK(*reader->text("PRAGMA integrity_check") == "ok");
  }
  CHECK(in_the_middle > 20);
}

}  // namespace perjoule::storage
