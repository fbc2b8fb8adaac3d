#include "storage/ledger_file.hpp"

#include <fmt/format.h>

#include <bit>
#include <utility>

#include "storage/sqlite/lock_holders.hpp"

namespace perjoule::storage {

namespace {

// Free pages kept beyond those in use. Rows grow into them when their integers need more bytes. Writing them once also
// extends the WAL file to the largest size it will need: the pages below the checkpoint threshold
// (ledger_format.wal_pages = 64) plus one commit that rewrites every row.
constexpr std::int64_t reserve_pages = 96;
constexpr std::int64_t wal_pages_max = (8 << 20) / 4096;

// In two transactions, because pages that are allocated and freed within one are never written to the WAL.
Result<void> write_and_free(Connection& connection, std::int64_t pages) {
  auto made = connection.transaction([&] {
    return connection.run(
        fmt::format("CREATE TABLE reserve(d BLOB) STRICT; INSERT INTO reserve VALUES(zeroblob({}))", pages * 4096));
  });
  if (!made) return made;
  auto freed = connection.transaction([&] { return connection.run("DROP TABLE reserve"); });
  if (!freed) return freed;
  return connection.run("PRAGMA shrink_memory");  // the connection would keep these pages in its cache
}

Result<void> reserve(Connection& connection) {
  // An earlier start may have been killed between the two transactions.
  if (auto dropped = connection.run("DROP TABLE IF EXISTS reserve"); !dropped) return dropped;
  // The next write then begins at the head of the WAL file. Otherwise the reserve would be appended to what an earlier
  // start left there, and the file would grow with each start.
  if (auto emptied = connection.run("PRAGMA wal_checkpoint(RESTART)"); !emptied) return emptied;
  auto pages = connection.integer("PRAGMA page_count");
  if (!pages) return pages.error();
  auto free = connection.integer("PRAGMA freelist_count");
  if (!free) return free.error();
  auto reserved = write_and_free(connection, reserve_pages + *pages - *free);
  // On a full disk use the free pages that an earlier start reserved.
  if (!reserved && *free > reserve_pages / 2) reserved = write_and_free(connection, *free - 4);
  return reserved;
}

Result<LedgerRows> load_rows(Connection& connection) {
  LedgerRows rows;
  auto totals = connection.prepare("SELECT key, millionths FROM total");
  if (!totals) return totals.error();
  for (;;) {
    auto row = totals->step();
    if (!row) return row.error();
    if (!*row) break;
    rows.totals.push_back({std::string(totals->text(0)), totals->integer(1)});
  }
  auto meters = connection.prepare("SELECT key, boot_id, raw, steady_ns, wall_ms, power_microwatts FROM meter");
  if (!meters) return meters.error();
  for (;;) {
    auto row = meters->step();
    if (!row) return row.error();
    if (!*row) break;
    rows.meters.push_back({std::string(meters->text(0)), std::string(meters->text(1)),
                           std::bit_cast<std::uint64_t>(meters->integer(2)), meters->integer(3), meters->integer(4),
                           meters->integer(5)});
  }
  // A version 1 file has no table `state`. It comes here unmigrated if it cannot be written.
  auto has_states = connection.integer("SELECT count(*) FROM sqlite_schema WHERE name = 'state'");
  if (!has_states) return has_states.error();
  if (*has_states == 0) return rows;
  auto states = connection.prepare("SELECT key, text FROM state");
  if (!states) return states.error();
  for (;;) {
    auto row = states->step();
    if (!row) return row.error();
    if (!*row) break;
    rows.states.push_back({std::string(states->text(0)), std::string(states->text(1))});
  }
  return rows;
}

}  // namespace

Result<LedgerFile> LedgerFile::open(const std::filesystem::path& path, std::int64_t now_ms, Notes& notes) {
  auto connection = open_database(path, ledger_format, now_ms, notes);
  if (!connection) return connection.error();
  connection->keep_wal();
  if (auto reserved = reserve(*connection); !reserved) {
    notes.push_back(
        fmt::format("cannot reserve disk space for ledger.db, totals may be lost when the disk is full; free space and "
                    "restart: {}",
                    reserved.error().what));
  }
  connection->remember_files();  // the reserve has written to the database
  Statements statements;
  for (const auto& [statement, sql] :
       {std::pair(&statements.total,
                  "INSERT INTO total VALUES(?1, ?2) ON CONFLICT(key) DO UPDATE SET millionths = max(millionths, "
                  "excluded.millionths)"),
        std::pair(&statements.replaced_total, "INSERT OR REPLACE INTO total VALUES(?1, ?2)"),
        std::pair(&statements.meter, "INSERT OR REPLACE INTO meter VALUES(?1, ?2, ?3, ?4, ?5, ?6)"),
        std::pair(&statements.state, "INSERT OR REPLACE INTO state VALUES(?1, ?2)"),
        std::pair(&statements.forgotten_state, "DELETE FROM state WHERE key = ?1"),
        std::pair(&statements.expired_total, "DELETE FROM total WHERE key = ?1"),
        std::pair(&statements.expired_meter, "DELETE FROM meter WHERE key = ?1")}) {
    auto prepared = connection->prepare(sql);
    if (!prepared) return prepared.error();
    *statement = std::move(*prepared);
  }
  return LedgerFile(path, std::move(*connection), std::move(statements));
}

LedgerFile::LedgerFile(std::filesystem::path path, Connection connection, Statements statements)
    : path_(std::move(path)),
      connection_(std::move(connection)),
      statements_(std::move(statements)),
      inspector_(path_, ledger_format) {}

Result<LedgerRows> LedgerFile::load_read_only(const std::filesystem::path& path) {
  auto connection = open_database_read_only(path, ledger_format);
  if (!connection) return connection.error();
  return load_rows(*connection);
}

// With a journal_size_limit, closing would truncate the WAL and give its reserved disk space back.
LedgerFile::~LedgerFile() {
  if (connection_.is_open()) [[maybe_unused]]
    auto kept = connection_.run("PRAGMA journal_size_limit=-1");
}

Result<LedgerRows> LedgerFile::load() {
  return load_rows(connection_);
}

Result<void> LedgerFile::commit(const LedgerRows& changed, Totals totals) {
  Statement& total = totals == Totals::replace ? statements_.replaced_total : statements_.total;
  Statement& meter = statements_.meter;
  return connection_.transaction([&]() -> Result<void> {
    if (auto done = expire(changed.expired); !done) return done;
    for (const auto& row : changed.totals) {
      if (auto done = total.bind(1, row.key).bind(2, row.millionths).run(); !done) return done;
    }
    for (const auto& row : changed.meters) {
      meter.bind(1, row.key).bind(2, row.boot_id).bind(3, std::bit_cast<std::int64_t>(row.raw));
      meter.bind(4, row.steady_ns).bind(5, row.wall_ms).bind(6, row.power_microwatts);
      if (auto done = meter.run(); !done) return done;
    }
    for (const auto& row : changed.states) {
      auto done = row.text.empty() ? statements_.forgotten_state.bind(1, row.key).run()
                                   : statements_.state.bind(1, row.key).bind(2, row.text).run();
      if (!done) return done;
    }
    return {};
  });
}

Result<void> LedgerFile::expire(std::span<const std::string> keys) {
  for (const std::string& key : keys) {
    for (Statement* statement : {&statements_.expired_meter, &statements_.expired_total}) {
      if (auto done = statement->bind(1, key).run(); !done) return done;
    }
  }
  return {};
}

Finding LedgerFile::look(bool thoroughly) {
  Finding found = inspector_.look(connection_, thoroughly);
  const LogState& log = connection_.log();
  if (found.standing != Standing::sound || log.kept == 0 || log.frames <= wal_pages_max) return found;
  return {Standing::starved, fmt::format("{}: {} has a read transaction open, and the write-ahead log has {} MiB",
                                         path_.string(), readers_of(path_), log.frames * 4096 >> 20)};
}

Result<std::string> LedgerFile::give_way(const Finding& found, std::int64_t now_ms) {
  connection_.leave_as_is();  // closing would write to, or delete, what has the names now
  const bool stays = found.standing == Standing::logs_lost;
  // An error is no loss: the file that is opened next gets every row, and is set aside if it is not sound.
  if (stays) [[maybe_unused]]
    auto completed = connection_.checkpoint(Connection::Checkpoint::passive);
  auto aside = set_aside(path_, stays ? Aside::logs : Aside::all, now_ms);
  if (!aside) return aside;
  return fmt::format("{}{}{}; every row is written again from memory", found.what, aside->empty() ? "" : "; ", *aside);
}

}  // namespace perjoule::storage
