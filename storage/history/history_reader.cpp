#include "storage/history/history_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "storage/codec/frame.hpp"
#include "storage/history/identities.hpp"
#include "storage/history/slot.hpp"
#include "storage/sqlite/database_file.hpp"

namespace perjoule::storage {

namespace {

constexpr std::size_t series_per_pass = 64;
constexpr std::int64_t reserved_slots = 24;  // memory for points is reserved for at most this many slots
constexpr std::size_t points_per_pass = std::size_t{2} << 20;

Unit unit_of(std::string_view word) {
  for (int n = 0; n <= static_cast<int>(Unit::rpm); ++n) {
    if (suffix(static_cast<Unit>(n)) == word) return static_cast<Unit>(n);
  }
  return Unit::none;
}

// A label that the series lacks has the value "".
bool has_labels(const StoredSeries& stored, const Labels& wanted) {
  if (wanted.empty()) return true;
  const Labels labels = parse_labels(stored.description.labels).value_or(Labels{});
  return std::all_of(wanted.begin(), wanted.end(),
                     [&](const auto& label) { return label_value(labels, label.first) == label.second; });
}

}  // namespace

Result<Connection> open_history(const std::filesystem::path& path) {
  auto connection = open_database_read_only(path, history_format);
  if (!connection) return connection;
  auto version = connection->integer("PRAGMA user_version");
  if (!version) return version.error();
  if (*version < static_cast<std::int64_t>(history_format.migrations.size())) {
    return Error{Fault::broken, fmt::format("{}: has the older format {}", path.string(), *version),
                 "start perjouled once: it migrates the file"};
  }
  return connection;
}

// Several grp rows may contain a series, and after the clock was set back their times overlap. Of two points with one
// timestamp, one is kept.
void HistoryReader::put_in_order(std::vector<Point>& points) {
  // A series that comes back in the millisecond of its end is there: of two the sample counts, and not the mark.
  const auto earlier = [](const Point& a, const Point& b) {
    return a.wall_ms != b.wall_ms ? a.wall_ms < b.wall_ms : !is_end_mark(a.value) && is_end_mark(b.value);
  };
  const auto same = [](const Point& a, const Point& b) { return a.wall_ms == b.wall_ms; };
  if (!std::is_sorted(points.begin(), points.end(), earlier)) std::stable_sort(points.begin(), points.end(), earlier);
  points.erase(std::unique(points.begin(), points.end(), same), points.end());
}

Error HistoryReader::too_many(std::size_t max) {
  return {Fault::absent, fmt::format("more than {} samples or buckets in the range", max)};
}

Result<void> HistoryReader::snapshot(const std::function<Result<void>()>& body) {
  auto begin = connection_.keep("BEGIN");
  if (!begin) return begin.error();
  if (auto begun = begin->run(); !begun) return begun;
  Result<void> done = body();
  auto commit = connection_.keep("COMMIT");
  if (!commit) return commit.error();
  auto ended = commit->run();
  return done ? ended : done;
}

Result<void> HistoryReader::in_time() const {
  if (late_ && late_()) return Error{Fault::timeout, "history: the query took too long"};
  return {};
}

Result<std::vector<StoredSeries>> HistoryReader::series(std::string_view metric) {
  auto statement = connection_.prepare(
      "SELECT id, metric, labels, unit, kind FROM series WHERE ?1 = '' OR metric = ?1 ORDER BY metric, labels");
  if (!statement) return statement.error();
  statement->bind(1, metric);
  std::vector<StoredSeries> found;
  for (;;) {
    auto row = statement->step();
    if (!row) return row.error();
    if (!*row) return found;
    StoredSeries series;
    series.id = statement->integer(0);
    series.description.id = static_cast<SeriesId>(series.id);
    series.description.metric = statement->text(1);
    series.description.labels = statement->text(2);
    series.description.unit = unit_of(statement->text(3));
    const bool counter = statement->integer(4) == static_cast<std::int64_t>(Kind::counter);
    series.description.kind = counter ? Kind::counter : Kind::gauge;
    found.push_back(std::move(series));
  }
}

Result<HistoryReader::Groups> HistoryReader::groups_of(std::span<const std::int64_t> ids) {
  std::vector<std::pair<std::int64_t, std::size_t>> positions;
  for (std::size_t n = 0; n < ids.size(); ++n)
    positions.emplace_back(ids[n], n);
  std::sort(positions.begin(), positions.end());
  Groups groups;
  auto statement = connection_.keep("SELECT id, members, first_slot, sealed, bundle, period_ms FROM grp");
  if (!statement) return statement.error();
  for (;;) {
    auto row = statement->step();
    if (!row) return row.error();
    if (!*row) return groups;
    Group group{statement->integer(2), statement->integer(3), statement->integer(4), statement->integer(5), {}, {}};
    for_each_member(statement->blob(1), [&](std::size_t column, std::int64_t member) {
      const auto at = std::lower_bound(positions.begin(), positions.end(), std::pair(member, std::size_t{0}));
      if (at == positions.end() || at->first != member) return;
      group.columns.push_back({column, at->second});
      group.wanted.push_back(column);
    });
    if (!group.columns.empty()) groups.emplace(statement->integer(0), std::move(group));
  }
}

Result<std::vector<std::vector<Point>>> HistoryReader::raw(std::span<const std::int64_t> ids, Range range,
                                                           std::size_t points_max) {
  std::vector<std::vector<Point>> points(ids.size());
  auto taken = collect(ids, range, points_max, points);
  if (!taken) return taken.error();
  if (*taken < ids.size()) return too_many(points_max);
  return points;
}

// Fills `points` for the first of `ids`, in order, and returns for how many: fewer than all if there are more than
// `points_max` points, but at least one.
Result<std::size_t> HistoryReader::collect(std::span<const std::int64_t> ids, Range range, std::size_t points_max,
                                           std::span<std::vector<Point>> points) {
  Taking taking{points, range, points_max, ids.size(), 0};
  auto done = snapshot([&]() -> Result<void> {
    const Result<Groups> groups = groups_of(ids);
    if (!groups) return groups.error();
    if (auto taken = take_chunks(*groups, taking); !taken) return taken;
    return take_tail(*groups, taking);
  });
  if (!done) return done.error();
  for (auto& of_series : points.first(taking.taken))
    put_in_order(of_series);
  return taking.taken;
}

void HistoryReader::give_way(Taking& taking) {
  while (taking.count > taking.points_max && taking.taken > 1) {
    for (std::size_t n = taking.taken / 2; n < taking.taken; ++n) {
      taking.count -= taking.points[n].size();
      std::vector<Point>().swap(taking.points[n]);
    }
    taking.taken /= 2;
  }
}

// Opens the row of a slot. False: there is no such row. Missing rows come in sequences, and opening a missing one is
// slow (database.hpp), so after a missing row the next is first tested with a statement.
Result<bool> HistoryReader::open_slot(Blob& blob, const SlotTable& table, std::int64_t key, bool& in_gap) {
  if (in_gap) {
    auto exists = Connection::integer(connection_.keep(table.exists), key);
    if (!exists) return exists.error();
    if (*exists == 0) return false;
  }
  auto opened = blob.open(connection_, table.name, key);
  in_gap = opened && !*opened;
  return opened;
}

// Calls `take(blob, group, slots left)` for each blob of the groups in the range. If `take` returns Fault::broken, the
// blob is counted as damaged; any other error ends the call.
Result<void> HistoryReader::for_each_slot(const SlotTable& table, const Groups& groups, Range range, const Take& take) {
  auto oldest = Connection::integer(connection_.keep(table.oldest));
  if (!oldest) return oldest.error();
  Blob blob;
  for (const auto& [grp, group] : groups) {
    const std::int64_t first = std::max({group.first_slot, slot_of(range.from_ms), slot_of_key(*oldest)});
    const std::int64_t last = std::min(group.sealed - 1, slot_of(range.to_ms));
    bool in_gap = false;
    for (std::int64_t slot = first; slot <= last; ++slot) {
      if (auto still = in_time(); !still) return still;
      auto opened = open_slot(blob, table, slot_key(slot, grp), in_gap);
      if (!opened) return opened.error();
      if (!*opened) continue;
      auto taken = take(blob, group, static_cast<std::size_t>(std::min(last - slot + 1, reserved_slots)));
      if (taken) continue;
      if (taken.error().fault != Fault::broken) return taken;
      ++undecodable_;
    }
  }
  return {};
}

Result<void> HistoryReader::take_chunks(const Groups& groups, Taking& taking) {
  constexpr SlotTable chunks{"chunk", "SELECT min(k) FROM chunk", "SELECT 1 FROM chunk WHERE k = ?1"};
  return for_each_slot(chunks, groups, taking.range, [&](const Blob& blob, const Group& group, std::size_t slots_left) {
    auto taken = take_chunk(blob, group, slots_left, taking);
    give_way(taking);
    return taken;
  });
}

Result<void> HistoryReader::take_chunk(const Blob& blob, const Group& group, std::size_t slots_left, Taking& taking) {
  const auto read = [&](std::size_t offset, std::span<char> out) { return blob.read(offset, out); };
  if (auto opened = chunk_.open(blob.size(), read); !opened) return opened;
  if (auto stamps = chunk_.stamps(stamps_ms_); !stamps) return stamps;
  const auto begin = std::lower_bound(stamps_ms_.begin(), stamps_ms_.end(), taking.range.from_ms);
  const auto end = std::upper_bound(begin, stamps_ms_.end(), taking.range.to_ms);
  const auto first = static_cast<std::size_t>(begin - stamps_ms_.begin());
  const auto past = static_cast<std::size_t>(end - stamps_ms_.begin());
  if (first == past) return {};
  Result<void> whole;
  for (const Column& column : group.columns) {
    if (column.series >= taking.taken || column.column >= chunk_.columns()) continue;
    if (auto decoded = chunk_.column(column.column, values_, present_); !decoded) {
      if (decoded.error().fault != Fault::broken) return decoded;
      whole = decoded;  // go on: the other columns have their own checksums
      continue;
    }
    std::vector<Point>& points = taking.points[column.series];
    const std::size_t before = points.size();
    if (points.capacity() < before + past - first) points.reserve(before + (past - first) * slots_left);
    points.resize(before + past - first);
    std::size_t at = before;
    for (std::size_t n = first; n < past; ++n) {
      points[at] = {stamps_ms_[n], values_[n]};
      at += present_[n];
    }
    points.resize(at);
    taking.count += at - before;
  }
  return whole;
}

// Takes the points of a frame's column that are in the range and not sealed.
void HistoryReader::take_column(const ColumnView& view, const Group& group, Taking& taking) {
  const auto column = std::lower_bound(group.columns.begin(), group.columns.end(), view.column,
                                       [](const Column& a, std::size_t b) { return a.column < b; });
  if (column == group.columns.end() || column->column != view.column || column->series >= taking.taken) return;
  const std::int64_t from_ms = std::max(taking.range.from_ms, slot_start(group.sealed));
  for (std::size_t n = 0; n < view.values.size(); ++n) {
    const std::int64_t stamp_ms = view.stamps_ms[n];
    if (view.present[n] == 0 || stamp_ms < from_ms || stamp_ms > taking.range.to_ms) continue;
    if (!taking.found.empty()) {
      taking.found[column->series] = 1;
      return;
    }
    taking.points[column->series].push_back({stamp_ms, view.values[n]});
    ++taking.count;
  }
}

Result<void> HistoryReader::take_rows(std::span<const std::int64_t> rows, const Groups& groups, Taking& taking) {
  const auto want = [&](std::int64_t grp) {
    const auto found = groups.find(grp);
    return found == groups.end() ? Wanted() : Wanted(found->second.wanted);
  };
  const auto take = [&](const ColumnView& view) { take_column(view, groups.at(view.group), taking); };
  auto frame = connection_.keep("SELECT d FROM tail WHERE id = ?1");
  if (!frame) return frame.error();
  for (const std::int64_t id : rows) {
    auto found = frame->bind(1, id).step();
    if (!found) return found.error();
    if (*found && !decode_columns(frame->blob(0), want, take)) ++undecodable_;
    frame->reset();
    give_way(taking);
    if (auto still = in_time(); !still) return still;
  }
  return {};
}

// Rows keep sealed samples until they are overwritten, so rows before the first unsealed slot are not read.
Result<void> HistoryReader::take_tail(const Groups& groups, Taking& taking) {
  std::map<std::int64_t, std::int64_t> unsealed_ms;  // by bundle: start of the first unsealed slot of these groups
  for (const auto& [grp, group] : groups) {
    for (const std::int64_t bundle : {group.bundle, bundle_of_all}) {
      const auto at = unsealed_ms.try_emplace(bundle, INT64_MAX).first;
      at->second = std::min(at->second, slot_start(group.sealed));
    }
  }
  for (const auto& [bundle, since_ms] : unsealed_ms) {
    const Range range{std::max(taking.range.from_ms, since_ms), taking.range.to_ms};
    if (range.from_ms > range.to_ms) continue;
    auto rows = rows_of(bundle, range);
    if (!rows) return rows.error();
    if (auto taken = take_rows(*rows, groups, taking); !taken) return taken;
  }
  return {};
}

// In the order of writing.
Result<std::vector<std::int64_t>> HistoryReader::rows_of(std::int64_t bundle, Range range) {
  auto rows = connection_.keep(
      "SELECT id FROM tail WHERE id >= ?1 AND id < ?2 AND last_ms >= ?3 AND first_ms <= ?4 ORDER BY number");
  if (!rows) return rows.error();
  rows->bind(1, tail_row(bundle, 0)).bind(2, tail_row(bundle + 1, 0)).bind(3, range.from_ms).bind(4, range.to_ms);
  std::vector<std::int64_t> found;
  for (;;) {
    auto row = rows->step();
    if (!row) return row.error();
    if (!*row) return found;
    found.push_back(rows->integer(0));
  }
}

Result<void> HistoryReader::read(const Selection& selection, const Store::Each& each) {
  auto found = series(selection.metric);
  if (!found) return found.error();
  std::erase_if(*found, [&](const StoredSeries& stored) { return !has_labels(stored, selection.labels); });
  std::span<const StoredSeries> rest(*found);
  std::vector<std::vector<Point>> points;
  std::vector<std::int64_t> ids;
  while (!rest.empty()) {
    ids.clear();
    for (const StoredSeries& stored : rest.first(std::min(rest.size(), series_per_pass)))
      ids.push_back(stored.id);
    points.clear();
    points.resize(ids.size());
    auto taken = collect(ids, {selection.from_ms, selection.to_ms}, points_per_pass, points);
    if (!taken) return taken.error();
    for (std::size_t n = 0; n < *taken; ++n) {
      if (!points[n].empty() && !each(rest[n].description, points[n])) return {};
      std::vector<Point>().swap(points[n]);  // frees the memory; `= {}` would keep it
    }
    rest = rest.subspan(*taken);
  }
  return {};
}

Result<std::int64_t> HistoryReader::oldest_ms(Connection& connection, Resolution resolution) {
  if (resolution == Resolution::hour) {
    auto start_s = Connection::integer(connection.keep("SELECT min(start_s) FROM roll_1h"));
    if (!start_s) return start_s;
    return *start_s * 1000;
  }
  const bool raw = resolution == Resolution::raw;
  auto key = Connection::integer(connection.keep(raw ? "SELECT min(k) FROM chunk" : "SELECT min(k) FROM roll_1m"));
  if (!key) return key;
  if (*key != 0 || !raw) return slot_start(slot_of_key(*key));
  // Free rows of the tail may still have samples whose chunks have expired: ignore them.
  return connection.integer(
      fmt::format("SELECT min(first_ms) FROM tail WHERE last_ms >= {} * ifnull("
                  "(SELECT min(sealed) FROM grp WHERE sealed > 0 AND closed_seq IS NULL), 0)",
                  slot_ms));
}

}  // namespace perjoule::storage
