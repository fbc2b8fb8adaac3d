// The part of Writer that opens its files, and looks after them: files that others have moved, deleted, overwritten or
// keep from being checkpointed.
#include <utility>

#include "storage/writer.hpp"

namespace perjoule::storage {

void Writer::take_news(Report& report) {
  if (!store_) return;
  const StoreNews news = store_->take_news();
  report.notes.insert(report.notes.end(), news.lines.begin(), news.lines.end());
  report.history_recoveries += news.recoveries;
  report.starved_checkpoints += news.starved_checkpoints;
}

// A file that is found broken is looked after at once, because until then nothing is on disk that a restart could load.
Result<void> Writer::commit_ledger(Report& report) {
  auto committed = look_after_ledger(report);
  if (committed || !ledger_fails_) return committed;
  return look_after_ledger(report);
}

Result<void> Writer::look_after_ledger(Report& report) {
  bool all = false;
  auto totals = LedgerFile::Totals::keep_larger;
  const bool failing = std::exchange(ledger_fails_, false);
  if (ledger_) {
    const Finding found = ledger_->look(failing);
    if (found.standing == Standing::rewritten) {
      all = true;
      totals = LedgerFile::Totals::replace;
      ++report.ledger_recoveries;
      report.notes.push_back(found.what + "; every row is written again from memory");
    } else if (found.standing != Standing::sound) {
      if (auto made = files_.directory(); !made) return made;
      auto done = ledger_->give_way(found, files_.now_ms());
      if (!done) return done.error();
      ledger_.reset();
      ++(found.standing == Standing::starved ? report.starved_checkpoints : report.ledger_recoveries);
      report.notes.push_back(*done);
    } else if (failing) {
      ledger_.reset();
    }
  }
  if (!ledger_) {
    all = true;
    if (auto made = files_.directory(); !made) return made;
    auto opened = files_.ledger();
    if (!opened) return opened.error();
    ledger_ = std::move(*opened);
  }
  return commit_rows(all, totals);
}

Result<void> Writer::commit_rows(bool all, LedgerFile::Totals totals) {
  const LedgerRows rows = take_changed(all);
  auto committed = ledger_->commit(rows, totals);
  if (committed) {
    keep_stored(rows);
    return {};
  }
  offer_again(rows);
  ledger_fails_ = committed.error().fault == Fault::broken;
  // A file that was opened for this commit has not received all rows.
  if (all && !ledger_fails_) ledger_.reset();
  return committed;
}

Result<void> Writer::open_history_file() {
  auto opened = files_.history();
  if (!opened) return opened.error();
  store_ = std::move(*opened);
  reported_ = {};
  const std::lock_guard lock(mutex_);
  for (auto& [id, series] : series_)
    series.stored = false;
  for (auto& [id, group] : groups_)
    group.stored = false;
  return {};
}

// With every commit, not only with those of the history: what the API has answered has to be saved soon.
Result<void> Writer::look_after_history(Report& report) {
  const bool failing = std::exchange(store_fails_, false);
  const bool suspect = files_.reading && files_.reading->suspect.exchange(false);
  if (!store_) return {};
  if (!store_->look(failing || suspect)) return save_history(report);
  if (failing) store_.reset();
  return {};
}

Result<void> Writer::save_history(Report& report) {
  if (auto made = files_.directory(); !made) return made;
  std::unique_lock<std::mutex> alone;
  if (files_.reading) {
    alone = std::unique_lock(files_.reading->mutex, std::try_to_lock);
    if (alone && files_.reading->connection) {
      files_.reading->connection->leave_as_is();
      files_.reading->connection.reset();
    }
  }
  auto saved = store_->save(!files_.reading || alone.owns_lock(), files_.now_ms());
  if (!saved) return saved.error();
  if (!*saved) {
    return Error{Fault::transient,
                 "history.db: its -wal or -shm file was moved, deleted or replaced; it is opened again "
                 "when the query that is running has ended"};
  }
  take_news(report);
  store_.reset();
  return open_history_file();
}

}  // namespace perjoule::storage
