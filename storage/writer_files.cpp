#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>

#include "storage/directory.hpp"
#include "storage/history/sqlite_store.hpp"
#include "storage/writer.hpp"

namespace perjoule::storage {

WriterFiles files_in(const std::filesystem::path& directory, const std::function<std::int64_t()>& now_ms,
                     const std::function<void(const std::string&)>& note) {
  WriterFiles files;
  files.ledger = [=]() -> Result<std::unique_ptr<LedgerFile>> {
    Notes notes;
    auto ledger = LedgerFile::open(directory / "ledger.db", now_ms(), notes);
    for (const auto& line : notes)
      note(line);
    if (!ledger) return ledger.error();
    return std::make_unique<LedgerFile>(std::move(*ledger));
  };
  files.history = [=]() -> Result<std::unique_ptr<Store>> {
    Notes notes;
    auto store = SqliteStore::open(directory / "history.db", now_ms(), notes);
    for (const auto& line : notes)
      note(line);
    if (!store) return store.error();
    return std::unique_ptr<Store>(std::move(*store));
  };
  files.now_ms = now_ms;
  files.directory = [directory, claim = std::make_shared<std::optional<Directory>>()]() -> Result<void> {
    if (Directory::holder(directory) == ::getpid()) return {};
    auto claimed = Directory::claim(directory);
    if (!claimed) return claimed.error();
    claim->emplace(std::move(*claimed));
    return {};
  };
  return files;
}

}  // namespace perjoule::storage
