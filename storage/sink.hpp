// The interface through which the recorder stores ledger rows and history. Called on the loop; no call blocks.
//
// `Writer` (storage/writer.hpp) is the real implementation: a thread with a bounded queue. The simulation uses one that
// keeps rows in memory and fails or is slow as its random seed decides.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "storage/ledger_rows.hpp"
#include "storage/store.hpp"

namespace perjoule::storage {

struct Report {
  std::uint64_t generation = 0;  // the one passed to the commit() that this report answers
  bool ledger_committed = false;
  bool history_attempted = false;  // the history was written to
  bool history_committed = false;
  // The commit was to include the history, and not all of it was done: the ledger first, the ticks, sealing, retention.
  bool history_failed = false;
  std::string error;          // one line; "" without an error
  double ledger_seconds = 0;  // duration of each commit
  double history_seconds = 0;
  std::uint64_t appended_samples = 0;  // committed to history by this call
  std::uint64_t dropped_samples = 0;   // dropped since the last report because the queue was full
  // Since the last report: samples refused by the history, raw samples expired by age or size, undecodable frames.
  std::uint64_t refused_samples = 0;
  std::uint64_t expired_samples = 0;
  std::uint64_t undecodable = 0;
  // Files that were found moved, replaced or damaged, and were saved or written again.
  std::uint64_t ledger_recoveries = 0;
  std::uint64_t history_recoveries = 0;
  std::uint64_t starved_checkpoints = 0;  // StoreNews
  std::vector<std::string> notes;         // lines for the log about these
  StoreSize size;                         // as of the last history commit
};

class Sink {
 public:
  using OnReport = std::function<void(Report)>;  // called on the loop's thread

  virtual ~Sink() = default;
  virtual void describe(SeriesDescription series) = 0;
  virtual void describe(GroupDescription group) = 0;
  // These series and this group get no more ticks; ids are never given again.
  virtual void forget(std::vector<SeriesId> series) = 0;
  virtual void forget(GroupId group) = 0;
  // When the queue is full, the oldest tick is dropped and counted.
  virtual void push(Tick tick) = 0;
  // Commits the ledger and then, if `history` is set, all ticks pushed before this call. Ticks are committed only after
  // the ledger rows that include them, so that history is never ahead of the totals. Rows of a commit that failed have
  // to be passed again; `expired` need not, the sink deletes them with its next commit.
  virtual void commit(std::uint64_t generation, LedgerRows changed, bool history, OnReport done) = 0;
  // Takes effect with the next history commit.
  virtual void retention(const RetentionPolicy& policy) = 0;
};

}  // namespace perjoule::storage
