// SqliteStore::read: which series are asked for, then the frames of the range once for each pass over some of them.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "storage/labels.hpp"
#include "storage/sqlite_store.hpp"

namespace perjoule::storage {

namespace {

constexpr std::size_t series_per_pass = 64;
constexpr std::size_t points_per_pass = std::size_t{2} << 20;

Unit unit_of(std::string_view word) {
  for (int n = 0; n <= static_cast<int>(Unit::rpm); ++n) {
    if (suffix(static_cast<Unit>(n)) == word) return static_cast<Unit>(n);
  }
  return Unit::none;
}

// Frames come by their last stamp; after the clock was set back they may overlap.
void put_in_order(std::vector<Point>& points) {
  const auto earlier = [](const Point& a, const Point& b) { return a.wall_ms < b.wall_ms; };
  const auto same = [](const Point& a, const Point& b) { return a.wall_ms == b.wall_ms; };
  if (!std::is_sorted(points.begin(), points.end(), earlier)) std::stable_sort(points.begin(), points.end(), earlier);
  points.erase(std::unique(points.begin(), points.end(), same), points.end());
}

}  // namespace

Result<std::vector<SqliteStore::Found>> SqliteStore::select(const Selection& selection) {
  auto statement = connection_.prepare(
      "SELECT id, metric, labels, unit, kind FROM series WHERE ?1 = '' OR metric = ?1 ORDER BY metric, labels");
  if (!statement) return statement.error();
  statement->bind(1, selection.metric);
  std::vector<Found> found;
  for (;;) {
    auto row = statement->step();
    if (!row) return row.error();
    if (!*row) return found;
    if (!labels_match(statement->text(2), selection.labels)) continue;
    SeriesDescription description;
    description.id = static_cast<SeriesId>(statement->integer(0));
    description.metric = statement->text(1);
    description.labels = statement->text(2);
    description.unit = unit_of(statement->text(3));
    description.kind = statement->integer(4) == static_cast<std::int64_t>(Kind::counter) ? Kind::counter : Kind::gauge;
    found.push_back({statement->integer(0), std::move(description), {}});
  }
}

// Which columns of which grp hold the points of which of `found`.
Result<SqliteStore::ColumnsByGroup> SqliteStore::columns_of(std::span<const Found> found) {
  std::unordered_map<std::int64_t, std::size_t> position;
  for (std::size_t n = 0; n < found.size(); ++n)
    position.emplace(found[n].id, n);
  ColumnsByGroup columns;
  auto groups = connection_.prepare("SELECT id, members FROM grp");
  if (!groups) return groups.error();
  for (;;) {
    auto row = groups->step();
    if (!row) return row.error();
    if (!*row) return columns;
    const auto members = unpack_members(groups->blob(1));
    for (std::size_t column = 0; column < members.size(); ++column) {
      const auto at = position.find(members[column]);
      if (at != position.end()) columns[groups->integer(0)].emplace(column, at->second);
    }
  }
}

// Appends what of a column lies in the range; returns how many points that were.
std::size_t SqliteStore::take(const ColumnView& view, const Selection& selection, std::vector<Point>& points) {
  const std::size_t before = points.size();
  for (std::size_t n = 0; n < view.values.size(); ++n) {
    const std::int64_t stamp = view.stamps_ms[n];
    const bool wanted = stamp >= selection.from_ms && stamp <= selection.to_ms;
    if (view.present[n] != 0 && wanted) points.push_back({stamp, view.values[n]});
  }
  return points.size() - before;
}

// Fills the points of the first of `found`; returns of how many. The later ones give way when the points get too many.
Result<std::size_t> SqliteStore::collect(const Selection& selection, std::span<Found> found) {
  const Result<ColumnsByGroup> columns = columns_of(found);
  if (!columns) return columns.error();
  std::size_t taking = found.size();
  std::size_t points = 0;
  std::uint64_t undecodable = 0;
  const auto want = [&](std::int64_t group) { return columns->contains(group); };
  const auto take_column = [&](const ColumnView& view) {
    const auto& of_group = columns->at(view.group);
    const auto at = of_group.find(view.column);
    if (at != of_group.end() && at->second < taking) points += take(view, selection, found[at->second].points);
  };
  auto frames = connection_.prepare("SELECT d FROM tail WHERE last_ms >= ?1 AND first_ms <= ?2 ORDER BY last_ms, seq");
  if (!frames) return frames.error();
  frames->bind(1, selection.from_ms).bind(2, selection.to_ms);
  for (;;) {
    auto row = frames->step();
    if (!row) return row.error();
    if (!*row) break;
    if (!decode_frame(frames->blob(0), want, take_column)) ++undecodable;
    while (points > points_per_pass && taking > 1) {
      for (std::size_t n = taking / 2; n < taking; ++n) {
        points -= found[n].points.size();
        std::vector<Point>().swap(found[n].points);
      }
      taking /= 2;
    }
  }
  undecodable_ = std::max(undecodable_, undecodable);  // each pass meets the same ones
  return taking;
}

Result<void> SqliteStore::read(const Selection& selection, const Each& each) {
  auto found = select(selection);
  if (!found) return found.error();
  std::span<Found> rest(*found);
  while (!rest.empty()) {
    auto taken = collect(selection, rest.first(std::min(rest.size(), series_per_pass)));
    if (!taken) return taken.error();
    for (auto& series : rest.first(*taken)) {
      put_in_order(series.points);
      if (!series.points.empty() && !each(series.description, series.points)) return {};
      std::vector<Point>().swap(series.points);  // `= {}` would keep the memory
    }
    rest = rest.subspan(*taken);
  }
  return {};
}

}  // namespace perjoule::storage
