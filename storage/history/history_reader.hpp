// Reads the history of an open history.db as one, sealed or not. Raw samples come from chunks and, after the sealed
// slots of a group, from the tail; minutes and hours come from roll-ups, and for unsealed slots from samples.
//
// Each call reads one snapshot of the file and ends it when it returns, because an open snapshot stops checkpoints and
// lets the write-ahead log grow. One thread at a time; blocks. The connection is the writer's own, outside a
// transaction, or a read-only one beside it. Damaged chunks and frames are left out and counted (undecodable); a chunk
// that cannot be read because of an I/O error is an error. Times are wall clock, milliseconds since the epoch.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "storage/codec/chunk.hpp"
#include "storage/codec/frame.hpp"
#include "storage/codec/rollup.hpp"
#include "storage/codec/rollup_block.hpp"
#include "storage/sqlite/database.hpp"
#include "storage/store.hpp"

namespace perjoule::storage {

// A series of the file. `description.id` repeats `id`; it is not a SeriesId of this process.
struct StoredSeries {
  std::int64_t id = 0;
  SeriesDescription description;
};

enum class Resolution : std::uint8_t { raw, minute, hour };

struct Range {
  std::int64_t from_ms = 0;  // both are inclusive; a bucket is in the range if its start is
  std::int64_t to_ms = INT64_MAX;
};

// Opens history.db for reading, while a daemon is running or not. Errors are those of open_database_read_only; a file
// of an older format is an error, too.
[[nodiscard]] Result<Connection> open_history(const std::filesystem::path& path);

class HistoryReader {
 public:
  // `late` is called between rows and blobs; if it returns true, the call ends with Fault::timeout.
  explicit HistoryReader(Connection& connection, std::function<bool()> late = {})
      : connection_(connection), late_(std::move(late)) {}

  // Ordered by metric, then labels; `metric` "": all.
  [[nodiscard]] Result<std::vector<StoredSeries>> series(std::string_view metric);
  // The points of each of `ids` with strictly ascending timestamps. Fault::absent: there are more than `points_max` in
  // total; the caller may ask for a narrower range.
  [[nodiscard]] Result<std::vector<std::vector<Point>>> raw(std::span<const std::int64_t> ids, Range range,
                                                            std::size_t points_max);
  // The same for buckets; `resolution` is minute or hour. Buckets of unsealed slots are computed from their samples.
  [[nodiscard]] Result<std::vector<std::vector<Bucket>>> buckets(std::span<const std::int64_t> ids, Range range,
                                                                 Resolution resolution, std::size_t buckets_max);
  // For each of `ids`, 1 if it has a sample in the range; an end mark is one, as in Prometheus. Also 1 where it may
  // have one: where only roll-ups are left, and where the search in raw samples would take long (its group has one).
  [[nodiscard]] Result<std::vector<std::uint8_t>> present(std::span<const std::int64_t> ids, Range range);
  // See Store::read.
  [[nodiscard]] Result<void> read(const Selection& selection, const Store::Each& each);

  // The start of the oldest slot (raw, minute) or hour of a resolution; 0: it has no data.
  [[nodiscard]] static Result<std::int64_t> oldest_ms(Connection& connection, Resolution resolution = Resolution::raw);
  [[nodiscard]] std::uint64_t undecodable() const { return undecodable_; }

 private:
  struct Column {
    std::size_t column = 0;
    std::size_t series = 0;  // position in `ids`
  };
  struct Group {
    std::int64_t first_slot = 0;
    std::int64_t sealed = 0;
    std::int64_t bundle = 0;
    std::int64_t period_ms = 0;
    std::vector<Column> columns;
    std::vector<std::size_t> wanted;  // the numbers of these columns, for decode_columns()
  };
  using Groups = std::map<std::int64_t, Group>;  // by grp id, usually the oldest first
  // What is collected: the points of the first `taken` series. If there are more than `points_max` points, the later
  // half of these series is dropped, so that memory is bounded; the caller reads them in another pass. Or, with
  // `found`, no points: only whether there is one.
  struct Taking {
    std::span<std::vector<Point>> points;
    Range range;
    std::size_t points_max = 0;
    std::size_t taken = 0;
    std::size_t count = 0;
    std::span<std::uint8_t> found = {};
  };

  [[nodiscard]] Result<Groups> groups_of(std::span<const std::int64_t> ids);
  [[nodiscard]] Result<std::size_t> collect(std::span<const std::int64_t> ids, Range range, std::size_t points_max,
                                            std::span<std::vector<Point>> points);
  struct SlotTable {
    const char* name;
    const char* oldest;  // statement: the smallest key
    const char* exists;  // statement: whether key ?1 exists
  };
  using Take = std::function<Result<void>(const Blob&, const Group&, std::size_t slots_left)>;
  [[nodiscard]] Result<bool> open_slot(Blob& blob, const SlotTable& table, std::int64_t key, bool& in_gap);
  [[nodiscard]] Result<void> for_each_slot(const SlotTable& table, const Groups& groups, Range range, const Take& take);
  [[nodiscard]] Result<void> take_chunks(const Groups& groups, Taking& taking);
  static void take_column(const ColumnView& view, const Group& group, Taking& taking);
  [[nodiscard]] Result<void> take_rows(std::span<const std::int64_t> rows, const Groups& groups, Taking& taking);
  [[nodiscard]] Result<void> take_chunk(const Blob& blob, const Group& group, std::size_t slots_left, Taking& taking);
  [[nodiscard]] Result<std::vector<std::int64_t>> rows_of(std::int64_t bundle, Range range);
  [[nodiscard]] Result<void> take_tail(const Groups& groups, Taking& taking);
  [[nodiscard]] Result<void> take_minutes(const Groups& groups, Range range, std::size_t buckets_max,
                                          std::span<std::vector<Bucket>> out);
  [[nodiscard]] Result<void> take_minute_blob(const Blob& blob, const Group& group, Range range,
                                              std::span<std::vector<Bucket>> out, std::size_t& count);
  [[nodiscard]] Result<void> take_hours(std::span<const std::int64_t> ids, Range range, std::size_t buckets_max,
                                        std::span<std::vector<Bucket>> out);
  [[nodiscard]] Result<std::vector<std::optional<Carried>>> last_sealed(const Groups& groups, std::size_t series);
  [[nodiscard]] Result<void> add_unsealed(const Groups& groups, std::span<const std::int64_t> ids, Range range,
                                          std::int64_t width_ms, std::span<std::vector<Bucket>> out);
  // Buckets of the unsealed points of series `id`; `before` is the last sealed sample.
  [[nodiscard]] Result<std::vector<Bucket>> roll_up(std::span<const Point> points, std::optional<Carried> before,
                                                    std::int64_t id, const Rollup& rollup);
  [[nodiscard]] Result<void> look_in_tail(const Groups& groups, Range range, std::span<std::uint8_t> found);
  [[nodiscard]] Result<void> look_in_chunks(std::int64_t grp, const Group& group, Range range, std::int64_t oldest_ms,
                                            std::span<std::uint8_t> found);
  [[nodiscard]] Result<void> look_in_chunk(const Blob& blob, const Group& group, Range range,
                                           std::span<std::uint8_t> found);
  static void give_way(Taking& taking);
  [[nodiscard]] Result<void> in_time() const;
  [[nodiscard]] Result<void> snapshot(const std::function<Result<void>()>& body);
  static void put_in_order(std::vector<Point>& points);
  [[nodiscard]] static Error too_many(std::size_t max);

  Connection& connection_;
  std::function<bool()> late_;
  std::uint64_t undecodable_ = 0;
  // Kept from chunk to chunk to reuse their memory.
  ChunkReader chunk_;
  RollupReader minutes_;
  std::vector<std::int64_t> stamps_ms_;
  std::vector<double> values_;
  std::vector<std::uint8_t> present_;
};

}  // namespace perjoule::storage
