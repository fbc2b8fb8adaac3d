#include "storage/history/end_marks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "storage/codec/frame.hpp"
#include "storage/history/slot.hpp"
#include "storage/store.hpp"

namespace perjoule::storage {

namespace {

constexpr std::int64_t lookback_ms = 300'000;
constexpr std::int64_t mark_period_ms = 1;  // marks come at any time

// What the previous run left open.
struct Open {
  std::int64_t newest_ms = -1;
  std::int64_t ends_grp = 0;  // of the end marks; 0: there are none yet
  std::int64_t ended_ms = -1;
  std::vector<std::int64_t> series;  // of the groups with recent samples; ids of the file, ascending
};

Result<Open> look(Connection& connection, const Tail& tail) {
  Open open;
  struct Group {
    std::int64_t newest_ms = 0;
    std::vector<std::int64_t> members;
  };
  std::vector<Group> groups;
  auto row = connection.prepare("SELECT id, source, device, members FROM grp WHERE closed_seq IS NULL");
  if (!row) return row.error();
  for (;;) {
    auto found = row->step();
    if (!found) return found.error();
    if (!*found) break;
    const std::int64_t id = row->integer(0);
    const std::int64_t newest_ms = tail.newest_ms(id);
    if (row->text(1) == ends_source && row->text(2) == ends_device) {
      open.ends_grp = id;
      open.ended_ms = newest_ms;
      continue;
    }
    open.newest_ms = std::max(open.newest_ms, newest_ms);
    groups.push_back({newest_ms, unpack_members(row->blob(3))});
  }
  for (const Group& group : groups) {
    if (group.newest_ms >= open.newest_ms - lookback_ms)
      open.series.insert(open.series.end(), group.members.begin(), group.members.end());
  }
  std::sort(open.series.begin(), open.series.end());
  open.series.erase(std::unique(open.series.begin(), open.series.end()), open.series.end());
  return open;
}

Result<void> mark(Tail& tail, std::int64_t grp, std::size_t series, std::int64_t stamp_ms) {
  GroupBlock block;
  block.reset(grp, series, 1);
  block.stamps_ms = {stamp_ms};
  std::fill(block.values.begin(), block.values.end(), end_mark);
  std::fill(block.present.begin(), block.present.end(), 1);
  std::string frame;
  begin_frame(frame, stamp_ms);
  append_group(frame, stamp_ms, block);
  const Tail::Held held{grp, stamp_ms, stamp_ms};
  return tail.insert(bundle_of_ends, frame, std::span(&held, 1));
}

}  // namespace

Result<std::int64_t> write_end_marks(Connection& connection, Identities& identities, Tail& tail) {
  auto open = look(connection, tail);
  if (!open) return open.error();
  auto known_ms = connection.integer("SELECT ifnull((SELECT value FROM meta WHERE name = 'ended_ms'), -1)");
  if (!known_ms) return known_ms;
  if (open->newest_ms <= *known_ms || open->series.empty()) return 0;
  // More than three times the series that a daemon may have: only a file from elsewhere is cut here.
  open->series.resize(std::min(open->series.size(), frame_columns_max));
  const GroupDescription group{{}, std::string(ends_source), std::string(ends_device), mark_period_ms};
  auto grp = identities.succeed(connection, open->ends_grp, group, open->series, bundle_of_ends);
  if (!grp) return grp;
  if (open->ends_grp != 0) tail.closed(open->ends_grp);
  const std::int64_t stamp_ms = std::max(open->newest_ms, open->ended_ms) + 1;
  if (auto marked = mark(tail, *grp, open->series.size(), stamp_ms); !marked) return marked.error();
  auto kept =
      connection.run(fmt::format("INSERT OR REPLACE INTO meta(name, value) VALUES('ended_ms', {})", open->newest_ms));
  if (!kept) return kept.error();
  return stamp_ms;
}

}  // namespace perjoule::storage
