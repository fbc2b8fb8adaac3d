// ledger.db: totals, meters and states, committed each second. It goes on when the disk is full: the space that
// rewriting rows takes (its WAL, a reserve of free pages) is allocated when the file is opened, and kept.
//
// One thread at a time. Blocks.
#pragma once

#include <cstdint>
#include <filesystem>

#include "storage/ledger_rows.hpp"
#include "storage/sqlite/database_file.hpp"

namespace perjoule::storage {

class LedgerFile {
 public:
  // `notes`: what was set aside (storage/sqlite/database_file.hpp), or that there was no room for the reserve.
  [[nodiscard]] static Result<LedgerFile> open(const std::filesystem::path& path, std::int64_t now_ms, Notes& notes);
  // The rows of a ledger that may not be written at present.
  [[nodiscard]] static Result<LedgerRows> load_read_only(const std::filesystem::path& path);

  ~LedgerFile();
  LedgerFile(LedgerFile&&) noexcept = default;
  LedgerFile& operator=(LedgerFile&&) noexcept = default;
  LedgerFile(const LedgerFile&) = delete;
  LedgerFile& operator=(const LedgerFile&) = delete;

  [[nodiscard]] Result<LedgerRows> load();
  // One transaction, on disk when it returns. A total that is smaller than the stored one leaves the stored one.
  // Fault broken: open it anew (it was moved, deleted or damaged).
  [[nodiscard]] Result<void> commit(const LedgerRows& changed);

 private:
  LedgerFile(Connection connection, Statement total, Statement meter, Statement state, Statement forget)
      : connection_(std::move(connection)),
        total_(std::move(total)),
        meter_(std::move(meter)),
        state_(std::move(state)),
        forget_(std::move(forget)) {}
  Connection connection_;  // before its statements: they are closed first
  Statement total_;
  Statement meter_;
  Statement state_;
  Statement forget_;
};

}  // namespace perjoule::storage
