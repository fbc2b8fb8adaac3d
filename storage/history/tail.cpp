#include "storage/history/tail.hpp"

#include <algorithm>
#include <cstdlib>
#include <functional>

#include "storage/history/slot.hpp"

namespace perjoule::storage {

namespace {

// A slot is sealed 30 s after its end at the earliest, because samples of slow probes arrive late. Groups follow every
// 15 s, eight at a time, over 10 minutes: sealing all at once would stall the writer and delay ledger commits.
constexpr std::int64_t late_ms = 30'000;
constexpr std::int64_t stagger_ms = 15'000;
constexpr std::int64_t stagger_steps = 40;
// SQLite stores integers in as many bytes as they need. Numbers from here on take six, like timestamps of this century,
// so all rows of a blob size have the same size and can be overwritten in place.
constexpr std::int64_t first_number = std::int64_t{1} << 32;
// The oldest free row is deleted when its newest sample is at least this many slots away from the slot being sealed.
constexpr std::int64_t free_slots = 4;

// The blob sizes that fill pages of 4096 bytes well: an eighth, a quarter, a half or the whole of a page, or whole
// overflow pages behind the part that SQLite keeps in the row (sqlite.org/fileformat2.html, section 1.6).
std::size_t padded_size(std::size_t size) {
  for (const std::size_t room : {480U, 960U, 1960U, 3960U}) {
    if (size <= room) return room;
  }
  constexpr std::size_t overflow_bytes = 4092;
  constexpr std::size_t home_bytes = 440;
  return (size - home_bytes + overflow_bytes - 1) / overflow_bytes * overflow_bytes + home_bytes;
}

std::int64_t due_after_ms(std::int64_t grp) {
  const auto batch = grp / static_cast<std::int64_t>(Tail::seal_groups);
  return late_ms + batch % stagger_steps * stagger_ms;
}

}  // namespace

void SlotBlock::begin(std::int64_t grp, std::size_t columns, std::int64_t from_ms, std::int64_t until_ms) {
  block_.group = grp;
  block_.columns = columns;
  block_.stamps_ms.clear();
  block_.values.clear();
  block_.present.clear();
  from_ms_ = from_ms;
  until_ms_ = until_ms;
  room_ = 0;
  opened_ = false;
}

void SlotBlock::grow(std::size_t ticks) {
  if (ticks <= room_) return;
  const std::size_t room = std::max<std::size_t>({ticks, room_ * 2, 64});
  block_.values.resize(block_.columns * room);
  block_.present.resize(block_.columns * room);
  // From the last column to the first, so that none is overwritten before it has moved.
  for (std::size_t column = block_.columns; column-- > 0;) {
    const auto move = [&](auto& cells) {
      const auto from = cells.begin() + static_cast<std::ptrdiff_t>(column * room_);
      const auto to = cells.begin() + static_cast<std::ptrdiff_t>(column * room);
      std::copy_backward(from, from + static_cast<std::ptrdiff_t>(room_), to + static_cast<std::ptrdiff_t>(room_));
      std::fill(to + static_cast<std::ptrdiff_t>(room_), to + static_cast<std::ptrdiff_t>(room), 0);
    };
    move(block_.values);
    move(block_.present);
  }
  room_ = room;
}

void SlotBlock::open_frame(std::span<const std::int64_t> stamps_ms) {
  opened_ = true;
  start_ = block_.stamps_ms.size();
  const std::int64_t after_ms = start_ > 0 ? block_.stamps_ms.back() + 1 : from_ms_;
  // In a frame of version 1 the clock may go back: only the ticks before its first step back are used.
  const auto ascending = std::is_sorted_until(stamps_ms.begin(), stamps_ms.end(), std::less_equal<>());
  const auto first = std::lower_bound(stamps_ms.begin(), ascending, std::max(from_ms_, after_ms));
  const auto end = std::lower_bound(first, ascending, until_ms_);
  skip_ = static_cast<std::size_t>(first - stamps_ms.begin());
  count_ = static_cast<std::size_t>(end - first);
  block_.stamps_ms.insert(block_.stamps_ms.end(), first, end);
  grow(block_.stamps_ms.size());
}

void SlotBlock::add(const ColumnView& view) {
  if (!opened_) open_frame(view.stamps_ms);
  if (view.column >= block_.columns) return;
  const auto at = static_cast<std::ptrdiff_t>(view.column * room_ + start_);
  const auto copy = [&](const auto& from, auto& to) {
    std::copy_n(from.begin() + static_cast<std::ptrdiff_t>(skip_), count_, to.begin() + at);
  };
  copy(view.values, block_.values);
  copy(view.present, block_.present);
}

const GroupBlock& SlotBlock::finish() {
  const std::size_t ticks = block_.stamps_ms.size();
  const auto compact = [&](auto& cells) {
    for (std::size_t column = 1; column < block_.columns && ticks < room_; ++column) {
      const auto from = cells.begin() + static_cast<std::ptrdiff_t>(column * room_);
      std::copy(from, from + static_cast<std::ptrdiff_t>(ticks),
                cells.begin() + static_cast<std::ptrdiff_t>(column * ticks));
    }
    cells.resize(block_.columns * ticks);
  };
  compact(block_.values);
  compact(block_.present);
  room_ = ticks;
  return block_;
}

Result<void> Tail::load(Connection& connection) {
  auto damaged = std::move(damaged_);
  *this = Tail();
  damaged_ = std::move(damaged);
  const auto prepare = [&](Statement& statement, std::string_view sql) -> Result<void> {
    auto prepared = connection.prepare(sql);
    if (!prepared) return prepared.error();
    statement = std::move(*prepared);
    return {};
  };
  for (const auto& [statement, sql] :
       {std::pair(&insert_, "INSERT INTO tail(id, number, first_ms, last_ms, d) VALUES(?1, ?2, ?3, ?4, ?5)"),
        std::pair(&update_, "UPDATE tail SET number = ?2, first_ms = ?3, last_ms = ?4, d = ?5 WHERE id = ?1"),
        std::pair(&select_, "SELECT d FROM tail WHERE id = ?1"), std::pair(&delete_, "DELETE FROM tail WHERE id = ?1"),
        std::pair(&seal_,
                  "UPDATE grp SET first_slot = iif(sealed = 0, ?2, first_slot), sealed = ?2 + 1 "
                  "WHERE id = ?1")}) {
    if (auto prepared = prepare(*statement, sql); !prepared) return prepared;
  }
  if (auto loaded = load_groups(connection); !loaded) return loaded;
  return load_rows(connection);
}

Result<void> Tail::load_groups(Connection& connection) {
  auto groups = connection.prepare("SELECT id, sealed, closed_seq IS NOT NULL FROM grp");
  if (!groups) return groups.error();
  for (;;) {
    auto row = groups->step();
    if (!row) return row.error();
    if (!*row) return {};
    groups_[groups->integer(0)] = {groups->integer(1), INT64_MIN, groups->integer(2) != 0};
  }
}

Result<void> Tail::load_rows(Connection& connection) {
  next_number_ = first_number;
  std::vector<std::pair<std::int64_t, std::int64_t>> order;  // number and id
  auto rows = connection.prepare("SELECT number, id, first_ms, last_ms, d FROM tail");
  if (!rows) return rows.error();
  std::unordered_map<std::int64_t, Row> known;
  for (;;) {
    auto row = rows->step();
    if (!row) return row.error();
    if (!*row) break;
    Row read{rows->integer(1), rows->integer(2), rows->integer(3), rows->blob(4).size(), {}};
    read.held = held_in(rows->blob(4), read.first_ms, read.last_ms);
    for (const Held& held : read.held)
      add_waiting(held);
    order.emplace_back(rows->integer(0), read.id);
    next_number_ = std::max(next_number_, rows->integer(0) + 1);
    std::int64_t& next_id = next_id_[bundle_of_row(read.id)];
    next_id = std::max(next_id, read.id + 1);
    known.emplace(read.id, std::move(read));
  }
  std::sort(order.begin(), order.end());
  for (const auto& [number, id] : order) {
    Row& row = known.at(id);
    (holds_waiting(row) ? rows_ : free_).push_back(std::move(row));
  }
  return {};
}

// For a row that spans at most a slot, first_ms and last_ms are exact enough for each group. A longer row may span a
// clock step; then its timestamps are decoded, so that it does not wait for all the slots in between. What cannot be
// decoded is counted when its slot is sealed.
std::vector<Tail::Held> Tail::held_in(std::string_view frame, std::int64_t first_ms, std::int64_t last_ms) const {
  std::vector<Held> held;
  const bool is_long = last_ms - first_ms > slot_ms;
  const auto note = [&](std::int64_t grp) {
    if (!groups_.contains(grp)) return false;
    if (!is_long) held.push_back({grp, first_ms, last_ms});
    return is_long;
  };
  const auto look = [&](const ColumnView& view) {
    if (!held.empty() && held.back().grp == view.group) return;  // its columns have the same timestamps
    held.push_back({view.group, view.stamps_ms.front(), view.stamps_ms.front()});
    for (const std::int64_t stamp_ms : view.stamps_ms) {
      if (stamp_ms < held.back().first_ms || stamp_ms - held.back().last_ms > slot_ms)
        held.push_back({view.group, stamp_ms, stamp_ms});
      held.back().last_ms = std::max(held.back().last_ms, stamp_ms);
    }
  };
  (void)decode_frame(frame, note, look).has_value();
  return held;
}

void Tail::add_waiting(const Held& held) {
  Group& group = groups_[held.grp];
  group.newest_ms = std::max(group.newest_ms, held.last_ms);
  for (std::int64_t slot = std::max(slot_of(held.first_ms), group.sealed); slot <= slot_of(held.last_ms); ++slot)
    if (const std::pair key(slot, held.grp); !waiting_.contains(key)) waiting_.insert(key);
}

std::int64_t Tail::newest_ms(std::int64_t grp) const {
  const auto found = groups_.find(grp);
  if (found == groups_.end()) return -1;
  return std::max(found->second.newest_ms, slot_start(found->second.sealed) - 1);
}

bool Tail::ends_in(std::int64_t grp, std::int64_t slot) const {
  const auto found = groups_.find(grp);
  return found != groups_.end() && found->second.closed && slot_of(found->second.newest_ms) <= slot;
}

Result<void> Tail::insert(std::int64_t bundle, std::string_view frame, std::span<const Held> held) {
  padded_ = frame;
  padded_.resize(padded_size(frame.size()), '\0');
  Row row{0, INT64_MAX, INT64_MIN, padded_.size(), {held.begin(), held.end()}};
  for (const Held& each : held) {
    row.first_ms = std::min(row.first_ms, each.first_ms);
    row.last_ms = std::max(row.last_ms, each.last_ms);
  }
  const auto fits = [&](const Row& free) { return free.bytes == row.bytes && bundle_of_row(free.id) == bundle; };
  const auto found = std::find_if(free_.begin(), free_.end(), fits);
  Statement& write = found == free_.end() ? insert_ : update_;
  if (found == free_.end()) {
    std::int64_t& next_id = next_id_[bundle];
    row.id = next_id = std::max(next_id, tail_row(bundle, 0));
    ++next_id;
  } else {
    row.id = found->id;
    free_.erase(found);
  }
  write.bind(1, row.id).bind(2, next_number_).bind(3, row.first_ms).bind(4, row.last_ms);
  if (auto written = write.bind_blob(5, padded_).run(); !written) return written;
  ++next_number_;
  rows_.push_back(std::move(row));
  for (const Held& each : held)
    add_waiting(each);
  return {};
}

Tail::Due Tail::due(std::int64_t now_ms) const {
  Due due;
  for (const auto& [slot, grp] : waiting_) {
    if (!due.groups.empty() && slot != due.slot) break;
    const Group& group = groups_.at(grp);
    if (!group.closed && now_ms < slot_start(slot + 1) + due_after_ms(grp)) continue;
    due.slot = slot;
    due.groups.push_back(grp);
    if (due.groups.size() == seal_groups) break;
  }
  return due;
}

Result<void> Tail::read(const Due& due, const std::function<bool(std::int64_t grp)>& want,
                        const std::function<void(const ColumnView&)>& each) {
  const std::int64_t from_ms = slot_start(due.slot);
  const std::int64_t until_ms = slot_start(due.slot + 1);
  const auto is_due = [&](const Held& held) {
    return held.first_ms < until_ms && held.last_ms >= from_ms &&
           std::find(due.groups.begin(), due.groups.end(), held.grp) != due.groups.end();
  };
  for (const Row& row : rows_) {
    if (std::none_of(row.held.begin(), row.held.end(), is_due)) continue;
    auto found = select_.bind(1, row.id).step();
    if (!found) return found.error();
    if (*found && !decode_frame(select_.blob(0), want, each)) damaged_.emplace(row.id, row.first_ms);
    select_.reset();
  }
  return {};
}

bool Tail::holds_waiting(const Row& row) const {
  return std::any_of(row.held.begin(), row.held.end(),
                     [&](const Held& held) { return groups_.at(held.grp).sealed <= slot_of(held.last_ms); });
}

Result<void> Tail::remove(const Row& row) {
  return delete_.bind(1, row.id).run();
}

// Frees a row, and deletes the oldest free one if it is too old. Rows of version 1 are deleted, not reused: they belong
// to no bundle.
Result<void> Tail::release(Row row, std::int64_t slot) {
  if (bundle_of_row(row.id) == bundle_of_all) return remove(row);
  free_.push_back(std::move(row));
  // Absolute distance: after a forward clock step, an old row may carry a future timestamp.
  if (std::abs(slot_of(free_.front().last_ms) - slot) < free_slots) return {};
  if (auto removed = remove(free_.front()); !removed) return removed;
  free_.pop_front();
  return {};
}

Result<void> Tail::sealed(const Due& due) {
  for (const std::int64_t grp : due.groups) {
    if (auto marked = seal_.bind(1, grp).bind(2, due.slot).run(); !marked) return marked;
    waiting_.erase({due.slot, grp});
    groups_[grp].sealed = due.slot + 1;
  }
  std::deque<Row> kept;
  for (Row& row : rows_) {
    if (holds_waiting(row)) {
      kept.push_back(std::move(row));
    } else if (auto released = release(std::move(row), due.slot); !released) {
      return released;
    }
  }
  rows_ = std::move(kept);
  return {};
}

// After rows were dropped unsealed: slots without a row no longer wait.
void Tail::forget_waiting_without_row() {
  waiting_.clear();
  for (const Row& row : rows_) {
    for (const Held& held : row.held)
      add_waiting(held);
  }
}

Result<std::uint64_t> Tail::count_waiting(const Row& row) {
  std::uint64_t count = 0;
  auto found = select_.bind(1, row.id).step();
  if (!found) return found.error();
  const auto is_known = [&](std::int64_t grp) { return groups_.contains(grp); };
  const auto add = [&](const ColumnView& view) {
    const std::int64_t from_ms = slot_start(groups_.at(view.group).sealed);
    for (std::size_t t = 0; t < view.stamps_ms.size(); ++t)
      count += view.present[t] != 0 && view.stamps_ms[t] >= from_ms ? 1U : 0U;
  };
  if (*found && !decode_frame(select_.blob(0), is_known, add)) damaged_.emplace(row.id, row.first_ms);
  select_.reset();
  return count;
}

Result<std::uint64_t> Tail::drop_oldest(std::size_t rows) {
  std::uint64_t waited = 0;
  for (; rows > 0 && !rows_.empty(); --rows) {
    auto count = count_waiting(rows_.front());
    if (!count) return count;
    waited += *count;
    if (auto removed = remove(rows_.front()); !removed) return removed.error();
    rows_.pop_front();
  }
  forget_waiting_without_row();
  return waited;
}

std::unordered_set<std::int64_t> Tail::groups_in_rows() const {
  std::unordered_set<std::int64_t> groups;
  for (const auto* rows : {&rows_, &free_}) {
    for (const Row& row : *rows) {
      for (const Held& held : row.held)
        groups.insert(held.grp);
    }
  }
  return groups;
}

}  // namespace perjoule::storage
