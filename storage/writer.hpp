// The writer thread and its bounded queue: the Sink of the daemon.
//
// The loop calls describe, push, commit and retention; they copy or move into the queue under a mutex that is never
// held during I/O. The thread commits the ledger, and only when that is on disk the history of the ticks that were
// pushed before the same commit call. What fails is kept, within the bound, and offered again at the next commit; a
// file that could not be opened, or is broken, is opened anew at the next commit, so that storing goes on by itself.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "storage/ledger_file.hpp"
#include "storage/sink.hpp"
#include "storage/store.hpp"

namespace perjoule::storage {

// How the files are opened; called on the writer's thread, again after each failure.
struct WriterFiles {
  std::function<Result<std::unique_ptr<LedgerFile>>()> ledger;
  std::function<Result<std::unique_ptr<Store>>()> history;
};

// ledger.db and history.db in a directory. `now_ms` and `note` (a line for the log) are called on the writer's thread.
[[nodiscard]] WriterFiles files_in(const std::filesystem::path& directory, const std::function<std::int64_t()>& now_ms,
                                   const std::function<void(const std::string&)>& note);

// Ticks that wait, those being committed included.
struct WriterLimits {
  std::size_t ticks = 10'000;
  std::size_t bytes = std::size_t{4} << 20;
  bool lossless = false;  // series are stored bit for bit, whatever their metrics declare
};

class Writer final : public Sink {
 public:
  using Post = std::function<void(std::function<void()>)>;  // runs a function on the loop; any thread

  // `ledger`: already open, because the totals were loaded from it; or null.
  Writer(WriterFiles files, std::unique_ptr<LedgerFile> ledger, WriterLimits limits, Post post);
  // Waits for the commits that were asked for.
  ~Writer() override;
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  void describe(SeriesDescription series) override;
  void describe(GroupDescription group) override;
  void push(Tick tick) override;
  // One commit may wait while another runs; a further one takes the place of the waiting one, takes over its rows, and
  // the waiting one's `done` gets a report that says so. Posts `done`.
  void commit(std::uint64_t generation, LedgerRows changed, bool history, OnReport done) override;
  void retention(const RetentionPolicy& policy) override;

  // Ends the thread behind the commits that were asked for: call commit with the final rows first. True: all of it is
  // on disk. False: it was not in time, or failed; when not in time, the destructor waits for the thread.
  [[nodiscard]] bool stop(std::chrono::steady_clock::time_point deadline);

 private:
  struct Queued {
    std::uint64_t number = 0;
    Tick tick;
  };
  struct Request {
    std::uint64_t generation = 0;
    bool history = false;
    std::uint64_t before = 0;  // ticks with a smaller number are covered by the ledger of this request
    OnReport done;
  };
  template <class Row>
  struct Known {
    Row row;
    bool changed = false;
  };

  void run();
  [[nodiscard]] Report serve(const Request& request);
  [[nodiscard]] Result<void> commit_ledger();
  [[nodiscard]] Result<void> commit_history(std::uint64_t before, Report& report);
  [[nodiscard]] Result<void> append(Frame& frame);
  [[nodiscard]] Result<void> tend(Report& report);
  [[nodiscard]] LedgerRows take_changed(bool all);
  void offer_again(const LedgerRows& rows);
  [[nodiscard]] std::deque<Queued> take_ticks(std::uint64_t before);
  void keep_within_limits();  // with the mutex held

  const WriterFiles files_;
  const WriterLimits limits_;
  const Post post_;

  std::mutex mutex_;
  std::condition_variable changed_;  // something to do, or the thread has ended
  std::deque<Queued> queue_;
  std::size_t waiting_ticks_ = 0;  // queue and commit in progress
  std::size_t waiting_bytes_ = 0;
  std::uint64_t next_number_ = 0;
  std::uint64_t dropped_samples_ = 0;
  std::optional<Request> waiting_;
  // Every row that was offered since the start: a ledger that has to be made anew gets them all.
  std::unordered_map<std::string, Known<TotalRow>> totals_;
  std::unordered_map<std::string, Known<MeterRow>> meters_;
  std::unordered_map<std::string, Known<StateRow>> states_;
  std::vector<SeriesDescription> series_;  // likewise for the history
  std::vector<GroupDescription> groups_;
  RetentionPolicy policy_;
  bool stopping_ = false;
  bool ended_ = false;
  bool all_committed_ = true;

  // Only the thread's.
  std::unique_ptr<LedgerFile> ledger_;
  std::unique_ptr<Store> store_;
  StoreSize told_;  // what the reports have said of store_
  std::size_t series_stored_ = 0;
  std::size_t groups_stored_ = 0;

  std::thread thread_;  // last: it starts when all else stands
};

}  // namespace perjoule::storage
