// The Store over history.db (tables: storage/sqlite/schema.hpp). One thread at a time: the writer's, or that of an
// export with a store of its own. Blocks on the disk.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/codec/frame.hpp"
#include "storage/history/believed_clock.hpp"
#include "storage/history/capacity.hpp"
#include "storage/history/identities.hpp"
#include "storage/history/log_guard.hpp"
#include "storage/history/retention.hpp"
#include "storage/history/sealer.hpp"
#include "storage/history/tail.hpp"
#include "storage/sqlite/database_file.hpp"
#include "storage/sqlite/standing.hpp"
#include "storage/store.hpp"

namespace perjoule::storage {

class SqliteStore final : public Store {
 public:
  [[nodiscard]] static Result<std::unique_ptr<SqliteStore>> open(const std::filesystem::path& path, std::int64_t now_ms,
                                                                 Notes& notes);
  // For `read` and `size` only, also while a daemon is running.
  [[nodiscard]] static Result<std::unique_ptr<SqliteStore>> open_read_only(const std::filesystem::path& path);

  // Fault broken: the file is damaged or read-only: look(), or open the store again. A tick has each series at most
  // once.
  [[nodiscard]] Result<void> append(const Frame& frame) override;
  [[nodiscard]] Result<void> end_previous_run() override;
  [[nodiscard]] Result<bool> seal() override;
  [[nodiscard]] Result<bool> retain(const RetentionPolicy& policy) override;
  [[nodiscard]] Result<StoreSize> size() override;
  [[nodiscard]] bool look(bool thoroughly) override;
  [[nodiscard]] Result<bool> save(bool alone, std::int64_t now_ms) override;
  [[nodiscard]] StoreNews take_news() override;
  // In the order of metric, then labels; series without a point in the range are left out. If a series has several
  // points with one timestamp (the clock was set back), one of them is passed. Holds at most 2 Mi points in memory, or
  // one series if that has more.
  [[nodiscard]] Result<void> read(const Selection& selection, const Each& each) override;

  // Number of frames and chunks that could not be decoded, at least in part; what could not is left out.
  [[nodiscard]] std::uint64_t undecodable() const { return tail_.undecodable() + reader_undecodable_; }

 private:
  // What is written to one row of the tail.
  struct Bundle {
    std::string frame;
    std::int64_t base_ms = 0;
    std::vector<Tail::Held> held;
  };

  SqliteStore(std::filesystem::path path, Connection connection)
      : path_(std::move(path)),
        connection_(std::move(connection)),
        inspector_(path_, history_format),
        log_guard_(path_) {}
  [[nodiscard]] Result<void> prepare_writing();
  // Runs `body` as a transaction. If it fails, the state in memory is loaded again before the next one.
  template <class Body>
  [[nodiscard]] Result<void> change(const Body& body);
  [[nodiscard]] Result<void> append_in_transaction(const Frame& frame);
  [[nodiscard]] Result<void> encode(const Frame& frame);
  [[nodiscard]] Result<void> encode_group(std::span<const Tick*> ticks);
  [[nodiscard]] Result<const Identities::Columns*> change_columns(GroupId group, std::span<const Tick* const> run,
                                                                  bool renew);
  [[nodiscard]] bool fill_block(const Identities::Columns& columns, std::span<const Tick* const> run);
  [[nodiscard]] Result<void> encode_run(GroupId group, std::span<const Tick* const> run, bool renew);

  [[nodiscard]] Result<void> keep_clock();
  [[nodiscard]] Result<void> load_clock();
  [[nodiscard]] RetentionLimits limits_of(const RetentionPolicy& policy) const;
  [[nodiscard]] Result<std::string> copy_to(const std::filesystem::path& path, std::int64_t now_ms);
  // Of save(); one that was not finished, when the process was killed, is left behind.
  static void remove_copy(const std::filesystem::path& path);

  std::filesystem::path path_;
  Connection connection_;  // declared before the members that hold its statements, so that they are destroyed first
  Inspector inspector_;
  LogGuard log_guard_;
  Finding found_;   // by look()
  StoreNews news_;  // of save()
  std::optional<Identities> identities_;
  Tail tail_;
  std::optional<Sealer> sealer_;
  std::optional<Retention> retention_;
  bool stale_ = true;        // tail_, sealer_ and retention_ have to be loaded from the file
  std::int64_t now_ms_ = 0;  // time of the newest sample; 0: none in this process
  BelievedClock clock_;
  RetentionPolicy policy_;  // of the last `retain`
  Capacity capacity_;
  BelievedClock::State clock_kept_;     // as stored in the file
  std::optional<std::int64_t> series_;  // number of series in the file; nullopt: count again
  std::uint64_t refused_samples_ = 0;
  std::uint64_t expired_samples_ = 0;
  std::uint64_t reader_undecodable_ = 0;
  // Of the frame being appended; kept for the next one, to allocate little memory in a steady state.
  std::map<std::int64_t, Bundle> bundles_;
  std::uint64_t refusing_ = 0;
  GroupBlock block_;
};

}  // namespace perjoule::storage
