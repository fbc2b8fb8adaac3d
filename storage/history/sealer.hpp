// Seals slots: what the tail holds of some groups becomes a chunk, roll-ups by the minute and by the hour each, and
// leaves the tail.
//
// What is written depends on the file alone: nothing is lost, and nothing counted twice, when the process ends between
// two slots. One thread at a time, inside the store's transaction.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
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

  // On an error the transaction has to be rolled back and the tail loaded anew.
  [[nodiscard]] Result<void> seal(Tail& tail, const Tail::Due& due);
  // What is known beside the file; after a rollback, too.
  void forget() {
    shapes_.clear();
    carried_.clear();
    written_ = {};
  }
  void forget(std::int64_t grp) { shapes_.erase(grp); }
  // Bytes of blobs and hour rows that were written since this was asked last.
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
  // `ends`: another grp goes on behind the block's last tick.
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
  std::unordered_map<std::int64_t, Shape> shapes_;
  std::unordered_map<std::int64_t, Carried> carried_;  // by series, over its grps
  Written written_;
  ChunkWriter chunk_;
  RollupWriter minutes_;
  std::vector<SlotBlock> blocks_ = std::vector<SlotBlock>(Tail::seal_groups);
  std::vector<std::vector<Bucket>> buckets_;  // by column
  std::string encoded_;
};

}  // namespace perjoule::storage
