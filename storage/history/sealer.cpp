#include "storage/history/sealer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "storage/history/identities.hpp"
#include "storage/history/slot.hpp"

namespace perjoule::storage {

namespace {

constexpr std::size_t shapes_max = 8192;  // with more the cache is emptied, which bounds memory
constexpr std::size_t carried_min = 4096;

}  // namespace

Result<Sealer> Sealer::make(Connection& connection) {
  Sealer made;
  for (const auto& [statement, sql] :
       {std::pair(&made.select_grp_, "SELECT period_ms, members, sealed FROM grp WHERE id = ?1"),
        std::pair(&made.select_series_, "SELECT kind FROM series WHERE id = ?1"),
        std::pair(&made.select_chunk_, "SELECT d FROM chunk WHERE k = ?1"),
        std::pair(&made.insert_chunk_, "INSERT OR REPLACE INTO chunk(k, samples, d) VALUES(?1, ?2, ?3)"),
        std::pair(&made.insert_minutes_, "INSERT OR REPLACE INTO roll_1m(k, d) VALUES(?1, ?2)"),
        std::pair(&made.select_hour_,
                  "SELECT min, max, mean, last, count, seconds, increase FROM roll_1h "
                  "WHERE start_s = ?1 AND series = ?2"),
        std::pair(&made.insert_hour_,
                  "INSERT OR REPLACE INTO roll_1h(start_s, series, min, max, mean, last, count, seconds, increase) "
                  "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")}) {
    auto prepared = connection.prepare(sql);
    if (!prepared) return prepared.error();
    *statement = std::move(*prepared);
  }
  return made;
}

Result<void> Sealer::seal(Tail& tail, const Tail::Due& due) {
  if (shapes_.size() > shapes_max) {
    shapes_.clear();
    carried_.clear();
    carried_kept_ = 0;
  }
  std::unordered_map<std::int64_t, SlotBlock*> block_of;
  for (std::size_t n = 0; n < due.groups.size(); ++n) {
    auto shape = shape_of(due.groups[n]);
    if (!shape) return shape.error();
    blocks_[n].begin(due.groups[n], (*shape)->members.size(), slot_start(due.slot), slot_start(due.slot + 1));
    block_of[due.groups[n]] = &blocks_[n];
  }
  SlotBlock* into = nullptr;  // of the group that is being decoded
  const auto want = [&](std::int64_t grp) {
    const auto found = block_of.find(grp);
    if (found == block_of.end()) return false;
    into = found->second;
    into->next_frame();
    return true;
  };
  auto gathered = tail.read(due, want, [&](const ColumnView& view) { into->add(view); });
  if (!gathered) return gathered;
  for (std::size_t n = 0; n < due.groups.size(); ++n) {
    const GroupBlock& block = blocks_[n].finish();
    if (block.stamps_ms.empty()) continue;
    const bool ends = tail.ends_in(due.groups[n], due.slot);
    if (auto written = write(shapes_.at(due.groups[n]), due.slot, ends, block); !written) return written;
    if (ends) shapes_.erase(due.groups[n]);
  }
  return tail.sealed(due);
}

bool Sealer::has_much_carried() const {
  return carried_.size() > carried_kept_ + std::max(carried_kept_ / 4, carried_min);
}

void Sealer::drop_carried(std::unordered_set<std::int64_t> used) {
  for (const auto& [grp, shape] : shapes_) {
    for (const Member& member : shape.members)
      used.insert(member.series);
  }
  std::erase_if(carried_, [&used](const auto& carried) { return !used.contains(carried.first); });
  carried_kept_ = carried_.size();
}

Result<const Sealer::Shape*> Sealer::shape_of(std::int64_t grp) {
  const auto found = shapes_.find(grp);
  if (found != shapes_.end()) return &found->second;
  auto loaded = load(grp);
  if (!loaded) return loaded.error();
  return &(shapes_[grp] = std::move(*loaded));
}

Result<Sealer::Shape> Sealer::load(std::int64_t grp) {
  auto row = select_grp_.bind(1, grp).step();
  if (!row) return row.error();
  if (!*row) return Error{Fault::broken, fmt::format("history: the tail has samples of unknown grp {}", grp)};
  Shape shape;
  shape.period_ms = std::max<std::int64_t>(select_grp_.integer(0), 1);
  const auto members = unpack_members(select_grp_.blob(1));
  const std::int64_t sealed = select_grp_.integer(2);
  select_grp_.reset();
  for (const std::int64_t series : members) {
    auto known = select_series_.bind(1, series).step();
    if (!known) return known.error();
    const bool counter = *known && select_series_.integer(0) == static_cast<std::int64_t>(Kind::counter);
    select_series_.reset();
    shape.members.push_back({series, counter});
  }
  if (auto loaded = load_carried(grp, sealed - 1, shape); !loaded) return loaded.error();
  return shape;
}

// The last samples of the series in the last sealed slot, where memory does not have them: after a start, a rollback,
// or when the cache was emptied.
Result<void> Sealer::load_carried(std::int64_t grp, std::int64_t slot, const Shape& shape) {
  auto row = select_chunk_.bind(1, slot_key(slot, grp)).step();
  if (!row) return row.error();
  if (!*row) return {};
  ChunkReader reader;
  std::vector<std::int64_t> stamps_ms;
  std::vector<double> values;
  std::vector<std::uint8_t> present;
  if (reader.open(select_chunk_.blob(0)) && reader.stamps(stamps_ms)) {
    for (std::size_t c = 0; c < std::min(reader.columns(), shape.members.size()); ++c) {
      if (!reader.column(c, values, present)) continue;
      std::size_t at = present.size();
      while (at > 0 && (present[at - 1] == 0 || std::isnan(values[at - 1])))
        --at;
      if (at > 0) carried_.try_emplace(shape.members[c].series, Carried{stamps_ms[at - 1], values[at - 1]});
    }
  }
  select_chunk_.reset();
  return {};
}

void Sealer::roll_up(const Shape& shape, std::int64_t slot, bool ends, const GroupBlock& block) {
  const std::size_t ticks = block.stamps_ms.size();
  const std::int64_t until_ms = ends ? block.stamps_ms.back() : slot_start(slot + 1);
  const Rollup minute(minute_ms, hold_periods * shape.period_ms);
  buckets_.resize(block.columns);
  for (std::size_t c = 0; c < block.columns; ++c) {
    const Member& member = shape.members[c];
    const auto known = carried_.find(member.series);
    std::optional<Carried> before;
    // After the clock went back, the sample before may lie in the future; it does not hold into this slot.
    if (known != carried_.end() && known->second.stamp_ms < block.stamps_ms.front()) before = known->second;
    buckets_[c].clear();
    minute.add({slot_start(slot), until_ms, block.stamps_ms, std::span(block.values).subspan(c * ticks, ticks),
                std::span(block.present).subspan(c * ticks, ticks)},
               before, member.counter, buckets_[c]);
    if (before) carried_.insert_or_assign(member.series, *before);
  }
}

Result<void> Sealer::write(const Shape& shape, std::int64_t slot, bool ends, const GroupBlock& block) {
  roll_up(shape, slot, ends, block);
  encoded_.clear();
  chunk_.encode(encoded_, block, shape.period_ms, {}, Effort::thorough);
  const std::int64_t key = slot_key(slot, block.group);
  const std::int64_t samples = std::count(block.present.begin(), block.present.end(), 1);
  if (auto done = insert_chunk_.bind(1, key).bind(2, samples).bind_blob(3, encoded_).run(); !done) return done;
  written_.slot = slot;
  written_.raw_bytes += static_cast<std::int64_t>(encoded_.size());
  if (std::all_of(buckets_.begin(), buckets_.end(), [](const auto& buckets) { return buckets.empty(); })) return {};
  encoded_.clear();
  minutes_.encode(encoded_, buckets_, minute_ms);
  if (auto done = insert_minutes_.bind(1, key).bind_blob(2, encoded_).run(); !done) return done;
  written_.minute_bytes += static_cast<std::int64_t>(encoded_.size());
  return write_hours(shape);
}

Result<void> Sealer::write_hours(const Shape& shape) {
  for (std::size_t c = 0; c < buckets_.size(); ++c) {
    const auto& minutes = buckets_[c];
    if (minutes.empty()) continue;
    Bucket hour = minutes.front();  // a slot never spans two hours
    for (std::size_t n = 1; n < minutes.size(); ++n)
      merge(hour, minutes[n]);
    hour.start_ms = hour.start_ms / hour_ms * hour_ms;
    if (auto written = write_hour(shape.members[c].series, hour); !written) return written;
  }
  return {};
}

// Merges into the row that the earlier slots of the hour have left. After the clock went back, a slot may occur again,
// with another grp.
Result<void> Sealer::write_hour(std::int64_t series, Bucket hour) {
  auto row = select_hour_.bind(1, hour.start_ms / 1000).bind(2, series).step();
  if (!row) return row.error();
  if (*row) {
    Bucket before;
    before.min = select_hour_.real(0);
    before.max = select_hour_.real(1);
    before.mean = select_hour_.real(2);
    before.last = select_hour_.real(3);
    before.count = select_hour_.integer(4);
    before.seconds = select_hour_.real(5);
    before.increase = select_hour_.real(6);
    merge(before, hour);
    before.start_ms = hour.start_ms;
    hour = before;
  } else {
    ++written_.hour_rows;
  }
  select_hour_.reset();
  insert_hour_.bind(1, hour.start_ms / 1000).bind(2, series).bind(3, hour.min).bind(4, hour.max).bind(5, hour.mean);
  insert_hour_.bind(6, hour.last).bind(7, hour.count).bind(8, hour.seconds).bind(9, hour.increase);
  return insert_hour_.run();
}

}  // namespace perjoule::storage
