// The Store over history.db (tables: storage/schema.hpp, frames: storage/frame.hpp). One thread at a time; blocks.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <unordered_map>

#include "storage/database_file.hpp"
#include "storage/frame.hpp"
#include "storage/identities.hpp"
#include "storage/store.hpp"

namespace perjoule::storage {

class SqliteStore final : public Store {
 public:
  [[nodiscard]] static Result<std::unique_ptr<SqliteStore>> open(const std::filesystem::path& path, std::int64_t now_ms,
                                                                 Notes& notes);
  // For `read` and `size` beside a running daemon.
  [[nodiscard]] static Result<std::unique_ptr<SqliteStore>> open_read_only(const std::filesystem::path& path);

  // Fault broken: open the store anew (its file was moved, deleted or damaged). Each series at most once in a tick.
  [[nodiscard]] Result<void> append(const Frame& frame) override;
  // At most 64 frames a call.
  [[nodiscard]] Result<bool> retain(std::int64_t oldest_ms, std::int64_t bytes_max) override;
  [[nodiscard]] Result<StoreSize> size() override;
  // In the order of metric, then labels; series without a point in the range are left out. Of points of one series with
  // the same stamp (the clock was set back) one is given. Holds 2 Mi points or one series, whichever is more.
  [[nodiscard]] Result<void> read(const Selection& selection, const Each& each) override;

  // Frames that `read` could not decode, at least in part, and left out.
  [[nodiscard]] std::uint64_t undecodable() const { return undecodable_; }

 private:
  struct Found {
    std::int64_t id = 0;
    SeriesDescription description;
    std::vector<Point> points;
  };

  SqliteStore(std::filesystem::path path, Connection connection)
      : path_(std::move(path)), connection_(std::move(connection)) {}
  [[nodiscard]] Result<void> prepare_writing();
  [[nodiscard]] Result<void> append_in_transaction(const Frame& frame);
  [[nodiscard]] Result<void> encode(const Frame& frame);
  [[nodiscard]] Result<std::int64_t> used_bytes();
  [[nodiscard]] Result<void> drop_unused();
  [[nodiscard]] Result<std::vector<Found>> select(const Selection& selection);
  using ColumnsByGroup = std::unordered_map<std::int64_t, std::unordered_map<std::size_t, std::size_t>>;
  [[nodiscard]] Result<ColumnsByGroup> columns_of(std::span<const Found> found);
  static std::size_t take(const ColumnView& view, const Selection& selection, std::vector<Point>& points);
  [[nodiscard]] Result<std::size_t> collect(const Selection& selection, std::span<Found> found);

  std::filesystem::path path_;
  Connection connection_;  // before what holds its statements
  std::optional<Identities> identities_;
  Statement insert_frame_;
  std::int64_t next_seq_ = 1;
  std::int64_t frames_ = 0;
  std::uint64_t undecodable_ = 0;
  // Kept between calls for their memory.
  std::string encoded_;
  GroupBlock block_;
};

}  // namespace perjoule::storage
