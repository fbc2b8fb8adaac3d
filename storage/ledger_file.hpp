// ledger.db: energy totals, meter readings and small states, committed each second (storage/ledger_rows.hpp).
//
// It can still be written when the disk is full: the space that rewriting all rows needs (its write-ahead log and a
// reserve of free pages) is allocated when the file is opened, and never given back. One thread at a time (the writer,
// or the loop before the writer starts). Blocks.
#pragma once

#include <cstdint>
#include <filesystem>

#include "storage/ledger_rows.hpp"
#include "storage/sqlite/database_file.hpp"

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
  // One transaction; it is on disk when the call returns. A total smaller than the stored one is ignored, so that a
  // counter never falls. Fault broken: the file was moved, deleted or damaged; open it again.
  [[nodiscard]] Result<void> commit(const LedgerRows& changed);

 private:
  LedgerFile(Connection connection, Statement total, Statement meter, Statement state, Statement forget)
      : connection_(std::move(connection)),
        total_(std::move(total)),
        meter_(std::move(meter)),
        state_(std::move(state)),
        forget_(std::move(forget)) {}
  Connection connection_;  // declared before its statements, so that they are destroyed first
  Statement total_;
  Statement meter_;
  Statement state_;
  Statement forget_;
};

}  // namespace perjoule::storage
