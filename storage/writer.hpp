// The writer thread and its bounded queue: the daemon's Sink.
//
// The loop calls describe, push, commit, retention and stop. They copy or move into the queue under a mutex that is
// never held during I/O, so a slow disk does not block the loop (stop waits until its deadline). The thread commits the
// ledger first. Only when that is on disk does it commit the history of the ticks pushed before the same commit call.
//
// Data of a failed commit stays queued, within the limits, and is retried at the next commit. A file that could not be
// opened, or is broken, is opened again at the next commit, so storing resumes without a restart.
//
// With each commit the thread looks whether both files are still what it wrote. A ledger that was moved, replaced or
// damaged is written again from memory in the same commit; of such a history, what the open connection still has is
// saved before anything is appended.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "storage/ledger_file.hpp"
#include "storage/reading.hpp"
#include "storage/sink.hpp"
#include "storage/store.hpp"

namespace perjoule::storage {

// Open the files; called on the writer's thread, and again after each failure.
struct WriterFiles {
  std::function<Result<std::unique_ptr<LedgerFile>>()> ledger;
  std::function<Result<std::unique_ptr<Store>>()> history;
  std::function<std::int64_t()> now_ms = [] { return std::int64_t{0}; };
  // Makes the directory again and claims it, where it is gone. Called before a file is written again.
  std::function<Result<void>()> directory = [] { return Result<void>(); };
  // The connection of this process's queries; null: it makes none.
  std::shared_ptr<Reading> reading = nullptr;
};

// ledger.db and history.db in `directory`, which is claimed (storage/directory.hpp) again when it was moved away with
// the claim. `now_ms` (wall clock) and `note` (receives a line for the log) are called on the writer's thread.
[[nodiscard]] WriterFiles files_in(const std::filesystem::path& directory, const std::function<std::int64_t()>& now_ms,
                                   const std::function<void(const std::string&)>& note);

// Limits of the ticks in memory, including those being committed. When one is exceeded, the oldest ticks are dropped.
struct WriterLimits {
  std::size_t ticks = 10'000;
  std::size_t bytes = std::size_t{4} << 20;
  bool lossless = false;  // ignore the metrics' declared steps and store values bit for bit
};

class Writer final : public Sink {
 public:
  using Post = std::function<void(std::function<void()>)>;  // runs a function on the loop; any thread

  // `ledger`: the ledger from which the caller has loaded `loaded`, still open; null: the thread opens it.
  Writer(WriterFiles files, std::unique_ptr<LedgerFile> ledger, LedgerRows loaded, WriterLimits limits, Post post);
  // Waits for the requested commits and joins the thread.
  ~Writer() override;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void describe(SeriesDescription series) override;
  void describe(GroupDescription group) override;
  void forget(std::vector<SeriesId> series) override;
  void forget(GroupId group) override;
  void push(Tick tick) override;
  // At most one commit waits while another runs. A further one replaces the waiting one and includes its rows; the
  // `done` of the replaced one gets a report with an error. `done` is called through Post, on the loop.
  void commit(std::uint64_t generation, LedgerRows changed, bool history, OnReport done) override;
  void retention(const RetentionPolicy& policy) override;

  // Ends the thread after the requested commits; call commit with the final rows first. True: everything is on disk.
  // False: a commit failed, or the deadline passed; after a missed deadline the destructor still waits for the thread.
  [[nodiscard]] bool stop(std::chrono::steady_clock::time_point deadline);

 private:
  struct Queued {
    std::uint64_t number = 0;
    Tick tick;
  };
  struct Request {
    std::uint64_t generation = 0;
    bool history = false;
    std::uint64_t before = 0;  // the ledger rows of this request include the ticks with a smaller number
    OnReport done;
  };
  template <class Row>
  struct Known {
    Row row;
    bool changed = false;
    bool stored = false;  // the file has a row of this key
  };

  // Ticks with a smaller number may still have it.
  template <class Id>
  struct Forgotten {
    Id id{};
    std::uint64_t number = 0;
  };
  template <class Description>
  struct Described {
    Description description;
    bool stored = false;  // in the open history.db
  };

  void run();
  [[nodiscard]] Report serve(const Request& request);
  void keep_rows(LedgerRows rows, bool loaded);  // caller holds the mutex
  [[nodiscard]] Result<void> commit_ledger(Report& report);
  [[nodiscard]] Result<void> look_after_ledger(Report& report);
  [[nodiscard]] Result<void> commit_rows(bool all, LedgerFile::Totals totals);
  [[nodiscard]] Result<void> look_after_history(Report& report);
  [[nodiscard]] Result<void> save_history(Report& report);
  [[nodiscard]] Result<void> open_history_file();
  void take_news(Report& report);
  [[nodiscard]] Result<void> commit_history(std::uint64_t before, Report& report);
  [[nodiscard]] Result<void> append(Frame& frame);
  [[nodiscard]] Result<void> tend(Report& report);
  [[nodiscard]] LedgerRows take_changed(bool all);
  void keep_stored(const LedgerRows& rows);
  void offer_again(const LedgerRows& rows);
  [[nodiscard]] std::deque<Queued> take_ticks(std::uint64_t before);
  void keep_within_limits();  // caller holds the mutex

  const WriterFiles files_;
  const WriterLimits limits_;
  const Post post_;

  std::mutex mutex_;
  std::condition_variable changed_;  // there is work, or the thread has ended
  std::deque<Queued> queue_;
  std::size_t waiting_ticks_ = 0;  // in the queue and in the commit in progress
  std::size_t waiting_bytes_ = 0;
  std::uint64_t next_number_ = 0;
  std::uint64_t dropped_samples_ = 0;
  std::optional<Request> waiting_;
  // Every row loaded or received since the start: a ledger file that has to be opened again, possibly new and empty,
  // gets all.
  std::unordered_map<std::string, Known<TotalRow>> totals_;
  std::unordered_map<std::string, Known<MeterRow>> meters_;
  std::unordered_map<std::string, Known<StateRow>> states_;
  std::set<std::string> expired_;  // keys that the file has to delete: of totals that were stored
  // All that are not forgotten, for the same reason. A map has them in the order of their ids.
  std::map<SeriesId, Described<SeriesDescription>> series_;
  std::map<GroupId, Described<GroupDescription>> groups_;
  std::vector<Forgotten<SeriesId>> forgotten_series_;
  std::vector<Forgotten<GroupId>> forgotten_groups_;
  RetentionPolicy policy_;
  bool stopping_ = false;
  bool ended_ = false;
  bool all_committed_ = true;

  // Used by the thread alone.
  std::unique_ptr<LedgerFile> ledger_;
  std::unique_ptr<Store> store_;
  bool ledger_fails_ = false;  // the last commit found the open file broken: it is read as a whole, or opened again
  bool store_fails_ = false;
  StoreSize reported_;  // counters of store_ at the last report, to report their increase
  bool ended_previous_run_ = false;

  std::thread thread_;  // declared last, so that it starts when the other members are constructed
};

}  // namespace perjoule::storage
