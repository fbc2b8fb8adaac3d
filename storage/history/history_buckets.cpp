// The part of HistoryReader that reads minutes and hours: from roll-ups, and after them from unsealed samples.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "storage/history/history_reader.hpp"
#include "storage/history/slot.hpp"

namespace perjoule::storage {

namespace {

// Merges buckets with the same start: the sealed and the unsealed part of an hour, and the two parts of a minute in
// which one grp row replaced another.
void join_parts(std::vector<Bucket>& buckets) {
  const auto earlier = [](const Bucket& a, const Bucket& b) { return a.start_ms < b.start_ms; };
  if (!std::is_sorted(buckets.begin(), buckets.end(), earlier))
    std::stable_sort(buckets.begin(), buckets.end(), earlier);
  const auto together = [](const Bucket& a, const Bucket& b) { return a.start_ms == b.start_ms; };
  if (std::adjacent_find(buckets.begin(), buckets.end(), together) == buckets.end()) return;
  std::size_t kept = 0;
  for (std::size_t n = 1; n < buckets.size(); ++n) {
    if (buckets[n].start_ms == buckets[kept].start_ms) {
      merge(buckets[kept], buckets[n]);
    } else {
      buckets[++kept] = buckets[n];
    }
  }
  buckets.resize(std::min(buckets.size(), kept + 1));
}

}  // namespace

Result<std::vector<std::vector<Bucket>>> HistoryReader::buckets(std::span<const std::int64_t> ids, Range range,
                                                                Resolution resolution, std::size_t buckets_max) {
  std::vector<std::vector<Bucket>> out(ids.size());
  auto done = snapshot([&]() -> Result<void> {
    const bool hours = resolution == Resolution::hour;
    const Result<Groups> groups = groups_of(ids);
    if (!groups) return groups.error();
    auto taken = hours ? take_hours(ids, range, buckets_max, out) : take_minutes(*groups, range, buckets_max, out);
    if (!taken) return taken;
    return add_unsealed(*groups, ids, range, hours ? hour_ms : minute_ms, out);
  });
  if (!done) return done.error();
  for (auto& of_series : out)
    join_parts(of_series);
  return out;
}

// The last sealed sample of each series, from its newest sealed slot.
Result<std::vector<std::optional<Carried>>> HistoryReader::last_sealed(const Groups& groups, std::size_t series) {
  std::vector<std::int64_t> newest(series, 0);  // first unsealed slot
  for (const auto& [grp, group] : groups) {
    for (const Column& column : group.columns)
      newest[column.series] = std::max(newest[column.series], group.sealed);
  }
  std::vector<std::vector<Point>> points(series);
  Taking taking{points, {}, SIZE_MAX, series, 0};
  Groups last;
  for (const auto& [grp, group] : groups) {
    const auto is_newest = [&newest, sealed = group.sealed](const Column& column) {
      return newest[column.series] == sealed;
    };
    if (group.sealed == 0 || std::none_of(group.columns.begin(), group.columns.end(), is_newest)) continue;
    Group one = group;
    one.first_slot = group.sealed - 1;
    last.emplace(grp, std::move(one));
  }
  if (auto taken = take_chunks(last, taking); !taken) return taken.error();
  std::vector<std::optional<Carried>> carried(series);
  for (std::size_t s = 0; s < series; ++s) {
    put_in_order(points[s]);
    while (!points[s].empty() && std::isnan(points[s].back().value))
      points[s].pop_back();
    if (!points[s].empty()) carried[s] = Carried{points[s].back().wall_ms, points[s].back().value};
  }
  return carried;
}

// Appends the buckets of unsealed samples, computed as sealing will compute them.
Result<void> HistoryReader::add_unsealed(const Groups& groups, std::span<const std::int64_t> ids, Range range,
                                         std::int64_t width_ms, std::span<std::vector<Bucket>> out) {
  // The last bucket of the range may begin in a sealed slot and end in an unsealed one.
  const auto ends_before = [&](const auto& group) {
    const std::int64_t sealed_ms = slot_start(group.second.sealed);
    return range.to_ms < sealed_ms && range.to_ms / width_ms * width_ms + width_ms <= sealed_ms;
  };
  if (std::all_of(groups.begin(), groups.end(), ends_before)) return {};
  std::vector<std::vector<Point>> points(ids.size());
  // Includes the unsealed samples before the range: increases of counters start there, and values hold into the range.
  Taking taking{points, {INT64_MIN, INT64_MAX}, SIZE_MAX, ids.size(), 0};
  if (range.to_ms < INT64_MAX - width_ms) taking.range.to_ms = range.to_ms + width_ms;
  if (auto taken = take_tail(groups, taking); !taken) return taken;
  if (taking.count == 0) return {};
  auto carried = last_sealed(groups, ids.size());
  if (!carried) return carried.error();
  std::vector<std::int64_t> periods_ms(ids.size(), 0);
  for (const auto& [grp, group] : groups) {
    for (const Column& column : group.columns)
      periods_ms[column.series] = std::max(periods_ms[column.series], group.period_ms);
  }
  for (std::size_t s = 0; s < ids.size(); ++s) {
    put_in_order(points[s]);
    if (points[s].empty()) continue;
    auto rolled = roll_up(points[s], (*carried)[s], ids[s], Rollup(width_ms, hold_periods * periods_ms[s]));
    if (!rolled) return rolled.error();
    for (const Bucket& bucket : *rolled) {
      if (bucket.start_ms >= range.from_ms && bucket.start_ms <= range.to_ms) out[s].push_back(bucket);
    }
  }
  return {};
}

Result<std::vector<Bucket>> HistoryReader::roll_up(std::span<const Point> points, std::optional<Carried> before,
                                                   std::int64_t id, const Rollup& rollup) {
  stamps_ms_.clear();
  values_.clear();
  for (const Point& point : points) {
    stamps_ms_.push_back(point.wall_ms);
    values_.push_back(point.value);
  }
  present_.assign(stamps_ms_.size(), 1);
  auto kind = connection_.integer(fmt::format("SELECT kind FROM series WHERE id = {}", id));
  if (!kind) return kind.error();
  const bool counter = *kind == static_cast<std::int64_t>(Kind::counter);
  // After the clock went back, the sample before may lie in the future; it does not hold into these points.
  if (before && before->stamp_ms >= stamps_ms_.front()) before.reset();
  std::vector<Bucket> buckets;
  const std::int64_t from_ms = slot_start(slot_of(stamps_ms_.front()));
  rollup.add({from_ms, stamps_ms_.back(), stamps_ms_, values_, present_}, before, counter, buckets);
  return buckets;
}

// Appends the buckets in the range to `out`, and adds their number to `count`.
Result<void> HistoryReader::take_minute_blob(const Blob& blob, const Group& group, Range range,
                                             std::span<std::vector<Bucket>> out, std::size_t& count) {
  const auto read = [&](std::size_t offset, std::span<char> bytes) { return blob.read(offset, bytes); };
  if (auto opened = minutes_.open(blob.size(), read); !opened) return opened;
  const auto outside = [&](const Bucket& b) { return b.start_ms < range.from_ms || b.start_ms > range.to_ms; };
  Result<void> whole;
  for (const Column& column : group.columns) {
    if (column.column >= minutes_.series()) continue;
    auto& buckets = out[column.series];
    const auto before = static_cast<std::ptrdiff_t>(buckets.size());
    if (auto taken = minutes_.read(column.column, buckets); !taken) {
      if (taken.error().fault != Fault::broken) return taken;
      whole = taken;  // go on: the others have their own checksums; open() has checked the first, which all need
      continue;
    }
    buckets.erase(std::remove_if(buckets.begin() + before, buckets.end(), outside), buckets.end());
    count += buckets.size() - static_cast<std::size_t>(before);
  }
  return whole;
}

Result<void> HistoryReader::take_minutes(const Groups& groups, Range range, std::size_t buckets_max,
                                         std::span<std::vector<Bucket>> out) {
  constexpr SlotTable minutes{"roll_1m", "SELECT min(k) FROM roll_1m", "SELECT 1 FROM roll_1m WHERE k = ?1"};
  std::size_t count = 0;
  return for_each_slot(minutes, groups, range, [&](const Blob& blob, const Group& group, std::size_t) -> Result<void> {
    auto taken = take_minute_blob(blob, group, range, out, count);
    if (count > buckets_max) return too_many(buckets_max);
    return taken;
  });
}

Result<void> HistoryReader::take_hours(std::span<const std::int64_t> ids, Range range, std::size_t buckets_max,
                                       std::span<std::vector<Bucket>> out) {
  auto oldest = Connection::integer(connection_.keep("SELECT min(start_s) FROM roll_1h"));
  if (!oldest) return oldest.error();
  auto newest = Connection::integer(connection_.keep("SELECT max(start_s) FROM roll_1h"));
  if (!newest) return newest.error();
  auto select = connection_.keep(
      "SELECT min, max, mean, last, count, seconds, increase FROM roll_1h WHERE start_s = ?1 AND series = ?2");
  if (!select) return select.error();
  constexpr std::int64_t hour_s = hour_ms / 1000;
  const std::int64_t from_s = (std::max<std::int64_t>(range.from_ms, 0) + hour_ms - 1) / hour_ms * hour_s;
  std::size_t count = 0;
  for (std::int64_t start_s = std::max(from_s, *oldest); start_s <= std::min(range.to_ms / 1000, *newest);
       start_s += hour_s) {
    if (auto still = in_time(); !still) return still;
    for (std::size_t n = 0; n < ids.size(); ++n) {
      auto row = select->bind(1, start_s).bind(2, ids[n]).step();
      if (!row) return row.error();
      if (*row) {
        out[n].push_back({start_s * 1000, select->real(0), select->real(1), select->real(3), select->integer(4),
                          select->real(2), select->real(5), select->real(6)});
      }
      select->reset();
      if (++count > buckets_max) return too_many(buckets_max);
    }
  }
  return {};
}

}  // namespace perjoule::storage
