// Seals slots: the samples of a group in a slot move from the tail into a chunk, a blob of minute roll-ups and rows of
// hour roll-ups.
//
// What is written depends on the file alone, so nothing is lost or counted twice if the process ends between two slots.
// One thread at a time (the writer), inside the store's transactions.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "storage/codec/chunk.hpp"
#include "storage/codec/rollup.hpp"
#include "storage/codec/rollup_block.hpp"
#include "storage/history/tail.hpp"
#include "storage/sqlite/database.hpp"

namespace perjoule::storage {

class Sealer {
 public:
  [[nodiscard]] static Result<Sealer> make(Connection& connection);

  // On an error the caller must roll the transaction back, load the tail again and call forget().
  [[nodiscard]] Result<void> seal(Tail& tail, const Tail::Due& due);
  // Drops what is cached from the file.
  void forget() {
    shapes_.clear();
    carried_.clear();
    carried_kept_ = 0;
    written_ = {};
  }
  void forget(std::int64_t grp) { shapes_.erase(grp); }
  // True if the cache of newest sealed samples has grown by a quarter, and by 4,096, since the last drop_carried().
  [[nodiscard]] bool has_much_carried() const;
  // Keeps the samples of the series in `used`, and of the open grps.
  void drop_carried(std::unordered_set<std::int64_t> used);
  // Bytes of blobs and number of new hour rows since the last call.
  struct Written {
    std::int64_t slot = 0;
    std::int64_t raw_bytes = 0;
    std::int64_t minute_bytes = 0;
    std::int64_t hour_rows = 0;
  };
  [[nodiscard]] Written take_written() { return std::exchange(written_, {}); }

 private:
  struct Member {
    std::int64_t series = 0;
    bool counter = false;
  };
  struct Shape {  // of a grp
    std::int64_t period_ms = 0;
    std::vector<Member> members;
  };

  [[nodiscard]] Result<const Shape*> shape_of(std::int64_t grp);
  [[nodiscard]] Result<Shape> load(std::int64_t grp);
  [[nodiscard]] Result<void> load_carried(std::int64_t grp, std::int64_t slot, const Shape& shape);
  // `ends`: another grp replaced this one after the block's last tick.
  [[nodiscard]] Result<void> write(const Shape& shape, std::int64_t slot, bool ends, const GroupBlock& block);
  void roll_up(const Shape& shape, std::int64_t slot, bool ends, const GroupBlock& block);
  [[nodiscard]] Result<void> write_hours(const Shape& shape);
  [[nodiscard]] Result<void> write_hour(std::int64_t series, Bucket hour);

  Statement select_grp_;
  Statement select_series_;
  Statement select_chunk_;
  Statement insert_chunk_;
  Statement insert_minutes_;
  Statement select_hour_;
  Statement insert_hour_;
  std::unordered_map<std::int64_t, Shape> shapes_;  // of the grps that are not closed
  // The newest sealed sample by series, not by grp, so that roll-ups continue when one grp replaces another.
  std::unordered_map<std::int64_t, Carried> carried_;
  std::size_t carried_kept_ = 0;  // so many were left when it was last cleaned
  Written written_;
  ChunkWriter chunk_;
  RollupWriter minutes_;
  std::vector<SlotBlock> blocks_ = std::vector<SlotBlock>(Tail::seal_groups);
  std::vector<std::vector<Bucket>> buckets_;  // by column
  std::string encoded_;
};

}  // namespace perjoule::storage
