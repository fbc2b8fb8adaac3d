// Where the recorder leaves what has to be kept. The loop calls; nothing here blocks.
//
// `Writer` (storage/writer.hpp) is the real one: a thread with a bounded queue. The simulation has one that keeps rows
// in memory, fails and is slow as its seed says.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "storage/ledger_rows.hpp"
#include "storage/store.hpp"

namespace perjoule::storage {

struct Report {
  std::uint64_t generation = 0;  // of the ledger snapshot that this report answers
  bool ledger_committed = false;
  bool history_attempted = false;
  bool history_committed = false;
  std::string error;          // one line; "" when all went well
  double ledger_seconds = 0;  // how long the commits took
  double history_seconds = 0;
  std::uint64_t appended_samples = 0;  // committed to history by this call
  std::uint64_t dropped_samples = 0;   // dropped since the last report (queue full)
  // What the history refused, dropped by age or size, and could not read, since the last report.
  std::uint64_t refused_samples = 0;
  std::uint64_t expired_samples = 0;
  std::uint64_t undecodable = 0;
  StoreSize size;  // as of the last history commit
};

class Sink {
 public:
  using OnReport = std::function<void(Report)>;  // called on the loop's thread

  virtual ~Sink() = default;
  virtual void describe(SeriesDescription series) = 0;
  virtual void describe(GroupDescription group) = 0;
  // Full queue: the oldest tick is dropped and counted.
  virtual void push(Tick tick) = 0;
  // Commits the ledger; when `history` is set, then all ticks pushed before this call. Ticks are committed only after a
  // ledger that covers them, so that history never runs ahead of the totals.
  virtual void commit(std::uint64_t generation, LedgerRows changed, bool history, OnReport done) = 0;
  // The retention in force from the next history commit on.
  virtual void retention(const RetentionPolicy& policy) = 0;
};

}  // namespace perjoule::storage
