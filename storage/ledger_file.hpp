// ledger.db: energy totals, meter readings and small states, committed each second (storage/ledger_rows.hpp).
//
// It can still be written when the disk is full: the space that rewriting all rows needs (its write-ahead log and a
// reserve of free pages) is allocated when the file is opened, and never given back. One thread at a time (the writer,
// or the loop before the writer starts). Blocks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "storage/ledger_rows.hpp"
#include "storage/sqlite/database_file.hpp"
#include "storage/sqlite/standing.hpp"

namespace perjoule::storage {

class LedgerFile {
 public:
  // `notes` receives lines for the log: a file that was set aside (storage/sqlite/database_file.hpp), or a disk without
  // room for the reserve. `now_ms`: wall clock, milliseconds since the epoch.
  [[nodiscard]] static Result<LedgerFile> open(const std::filesystem::path& path, std::int64_t now_ms, Notes& notes);
  // The rows of a ledger that this process may not write, for example because its daemon is running.
  [[nodiscard]] static Result<LedgerRows> load_read_only(const std::filesystem::path& path);

  ~LedgerFile();
  LedgerFile(LedgerFile&&) noexcept = default;
  LedgerFile& operator=(LedgerFile&&) noexcept = default;
  LedgerFile(const LedgerFile&) = delete;
  LedgerFile& operator=(const LedgerFile&) = delete;

  [[nodiscard]] Result<LedgerRows> load();
  // One transaction; it is on disk when the call returns. keep_larger: a total smaller than the stored one is ignored,
  // so that a counter never falls. replace: the file may hold what another program wrote, and the rows are the truth.
  // Fault broken: the file is damaged or read-only; open it again.
  enum class Totals : std::uint8_t { keep_larger, replace };
  [[nodiscard]] Result<void> commit(const LedgerRows& changed, Totals totals = Totals::keep_larger);

  // Whether the file is still what was committed; to be called before each commit (storage/sqlite/standing.hpp).
  // Starved: the WAL has more than 8 MiB, because another program has a read transaction open.
  [[nodiscard]] Finding look(bool thoroughly);
  // Makes room for a file that is opened at the same path and gets every row again; this one is destroyed next. What
  // stands under the names of a lost, damaged or starved file is set aside. After logs_lost the database stays,
  // completed from the WAL that is still open. Returns what was done, for the log.
  [[nodiscard]] Result<std::string> give_way(const Finding& found, std::int64_t now_ms);

 private:
  struct Statements {
    Statement total;
    Statement replaced_total;
    Statement meter;
    Statement state;
    Statement forgotten_state;
    Statement expired_total;
    Statement expired_meter;
  };
  LedgerFile(std::filesystem::path path, Connection connection, Statements statements);
  [[nodiscard]] Result<void> expire(std::span<const std::string> keys);

  std::filesystem::path path_;
  Connection connection_;  // declared before its statements, so that they are destroyed first
  Statements statements_;
  Inspector inspector_;
};

}  // namespace perjoule::storage
