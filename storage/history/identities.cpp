#include "storage/history/identities.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "storage/codec/varint.hpp"
#include "storage/history/slot.hpp"

namespace perjoule::storage {

std::string pack_members(std::span<const std::int64_t> members) {
  std::string packed;
  std::uint64_t last = 0;
  for (auto member : members) {
    put_varint(packed, zigzag(static_cast<std::uint64_t>(member) - last));
    last = static_cast<std::uint64_t>(member);
  }
  return packed;
}

std::vector<std::int64_t> unpack_members(std::string_view packed) {
  std::vector<std::int64_t> members;
  for_each_member(packed, [&](std::size_t, std::int64_t series) { members.push_back(series); });
  return members;
}

void Identities::Columns::add(SeriesId series, std::size_t column, double step) {
  of_[series] = column;
  if (series_of_.size() <= column) {
    series_of_.resize(column + 1, SeriesId{UINT64_MAX});
    steps_.resize(column + 1, 0);
  }
  series_of_[column] = series;
  steps_[column] = step;
}

namespace {

// The id after the largest; when the ids are used up, the smallest free one.
Result<std::int64_t> free_grp(Connection& connection) {
  auto last = connection.integer("SELECT max(id) FROM grp");
  if (!last) return last;
  if (*last < grp_max) return *last + 1;
  auto gap = connection.integer(
      "SELECT id + 1 FROM grp AS g WHERE id < 16777215 AND NOT EXISTS(SELECT 1 FROM grp WHERE id = g.id + 1) "
      "ORDER BY id LIMIT 1");
  if (!gap) return gap;
  if (*gap == 0) return Error{Fault::transient, "history: all 16777215 ids of table grp are in use"};
  return *gap;
}

// The newest bundle if it has room for `series` more series, otherwise a new one.
Result<std::int64_t> open_bundle(Connection& connection, std::size_t series) {
  auto newest =
      connection.integer(fmt::format("SELECT ifnull(max(bundle), 0) FROM grp WHERE bundle < {}", bundle_of_ends));
  if (!newest) return newest;
  if (*newest == bundle_of_all) return bundle_of_all + 1;
  auto groups = connection.prepare("SELECT members FROM grp WHERE bundle = ?1 AND closed_seq IS NULL");
  if (!groups) return groups.error();
  groups->bind(1, *newest);
  for (;;) {
    auto row = groups->step();
    if (!row) return row.error();
    if (!*row) break;
    series += unpack_members(groups->blob(0)).size();
  }
  return series <= bundle_series ? *newest : *newest + 1;
}

bool holds_all(const Identities::Columns& columns, std::span<const Tick* const> ticks) {
  if (columns.grp == 0) return false;
  for (const Tick* tick : ticks) {
    std::size_t expected = 0;
    for (const Sample& sample : tick->samples) {
      if (columns.find(sample.series, expected) == Identities::Columns::none) return false;
    }
  }
  return true;
}

// The series in these ticks, each once, in the order of their first occurrence.
std::vector<SeriesId> present_in(std::span<const Tick* const> ticks) {
  std::vector<SeriesId> present;
  std::unordered_set<SeriesId> seen;
  for (const Tick* tick : ticks) {
    for (const Sample& sample : tick->samples) {
      if (seen.insert(sample.series).second) present.push_back(sample.series);
    }
  }
  return present;
}

}  // namespace

Result<Identities> Identities::make(Connection& connection) {
  Identities made;
  const auto prepare = [&](Statement& statement, std::string_view sql) -> Result<void> {
    auto prepared = connection.prepare(sql);
    if (!prepared) return prepared.error();
    statement = std::move(*prepared);
    return {};
  };
  if (auto done =
          prepare(made.insert_series_,
                  "INSERT INTO series(metric, labels, unit, kind) VALUES(?1, ?2, ?3, ?4) ON CONFLICT DO UPDATE SET "
                  "unit = excluded.unit, kind = excluded.kind, last_slot = NULL RETURNING id");
      !done) {
    return done.error();
  }
  if (auto done =
          prepare(made.insert_grp_,
                  "INSERT INTO grp(id, source, device, period_ms, members, bundle) VALUES(?5, ?1, ?2, ?3, ?4, ?6)");
      !done) {
    return done.error();
  }
  if (auto done = prepare(made.close_grp_, "UPDATE grp SET closed_seq = 1 WHERE id = ?1"); !done) return done.error();
  if (auto done = prepare(
          made.find_grp_,
          "SELECT id, members, period_ms, bundle FROM grp WHERE source = ?1 AND device = ?2 AND closed_seq IS NULL "
          "ORDER BY id DESC LIMIT 1");
      !done) {
    return done.error();
  }
  return made;
}

Result<void> Identities::describe(const SeriesDescription& series) {
  insert_series_.bind(1, series.metric).bind(2, series.labels).bind(3, suffix(series.unit));
  insert_series_.bind(4, static_cast<std::int64_t>(series.kind));
  auto row = insert_series_.step();
  if (!row) return row.error();
  staged_.series[series.id] = {insert_series_.integer(0), series.step};
  return insert_series_.run();
}

void Identities::describe(const GroupDescription& group) {
  staged_.groups[group.id] = Group{group, {}, false};
}

Identities::File Identities::file_of(SeriesId series) const {
  if (auto found = staged_.series.find(series); found != staged_.series.end()) return found->second;
  if (auto found = kept_.series.find(series); found != kept_.series.end()) return found->second;
  return {};
}

Result<Identities::Group*> Identities::stage(GroupId id) {
  auto staged = staged_.groups.find(id);
  if (staged == staged_.groups.end()) {
    const auto kept = kept_.groups.find(id);
    if (kept == kept_.groups.end()) {
      return Error{Fault::transient,
                   fmt::format("history: group {} was not described before its tick", static_cast<std::uint32_t>(id))};
    }
    staged = staged_.groups.emplace(id, kept->second).first;
  }
  if (!staged->second.looked_up) {
    if (auto found = look_up(staged->second); !found) return found.error();
  }
  return &staged->second;
}

const Identities::Columns* Identities::settled(GroupId id) const {
  const auto kept = kept_.groups.find(id);
  const bool is_settled = kept != kept_.groups.end() && kept->second.columns.grp != 0 && !staged_.groups.contains(id);
  return is_settled ? &kept->second.columns : nullptr;
}

Result<const Identities::Columns*> Identities::columns(Connection& connection, GroupId id,
                                                       std::span<const Tick* const> ticks, bool renew) {
  auto group = stage(id);
  if (!group) return group.error();
  if (renew || !holds_all((*group)->columns, ticks)) {
    if (auto replaced = replace(connection, **group, ticks); !replaced) return replaced.error();
  }
  return &(*group)->columns;
}

Result<std::int64_t> Identities::grp_of(GroupId id) {
  const auto kept = kept_.groups.find(id);
  if (kept != kept_.groups.end() && kept->second.looked_up && !staged_.groups.contains(id))
    return kept->second.columns.grp;
  auto group = stage(id);
  if (!group) return group.error();
  return (*group)->columns.grp;
}

Result<void> Identities::look_up(Group& group) {
  group.looked_up = true;
  find_grp_.bind(1, group.description.source).bind(2, group.description.device);
  auto row = find_grp_.step();
  if (!row) return row.error();
  if (!*row) return {};
  group.columns.grp = find_grp_.integer(0);
  const auto members = unpack_members(find_grp_.blob(1));
  group.columns.bundle = find_grp_.integer(3);
  const bool same_period = find_grp_.integer(2) == group.description.period_ms;
  find_grp_.reset();
  group.columns.count = members.size();
  // If the sampling period has changed, or the row is of version 1, no column is mapped: `replace` then closes the row.
  if (!same_period || group.columns.bundle == bundle_of_all) return {};
  // The row of an earlier run lists file ids. Map its columns to the series numbers of this process.
  std::unordered_map<std::int64_t, std::size_t> column_of;
  for (std::size_t column = 0; column < members.size(); ++column)
    column_of.emplace(members[column], column);
  for (const auto* names : {&kept_, &staged_}) {
    for (const auto& [series, file] : names->series) {
      if (auto column = column_of.find(file.id); column != column_of.end())
        group.columns.add(series, column->second, file.step);
    }
  }
  return {};
}

Result<void> Identities::replace(Connection& connection, Group& group, std::span<const Tick* const> ticks) {
  Columns fresh;
  std::vector<std::int64_t> members;
  for (SeriesId series : present_in(ticks)) {
    const File file = file_of(series);
    if (file.id == 0) {
      return Error{Fault::transient, fmt::format("history: series {} was not described before its sample",
                                                 static_cast<std::uint64_t>(series))};
    }
    fresh.add(series, members.size(), file.step);
    members.push_back(file.id);
  }
  fresh.count = members.size();
  fresh.bundle = group.columns.bundle;
  if (fresh.bundle == bundle_of_all) {
    auto open = group.description.source == ends_source && group.description.device == ends_device
                    ? Result<std::int64_t>(bundle_of_ends)
                    : open_bundle(connection, members.size());
    if (!open) return open.error();
    fresh.bundle = *open;
  }
  auto grp = succeed(connection, group.columns.grp, group.description, members, fresh.bundle);
  if (!grp) return grp.error();
  fresh.grp = *grp;
  group.columns = std::move(fresh);
  return {};
}

Result<std::int64_t> Identities::succeed(Connection& connection, std::int64_t before, const GroupDescription& group,
                                         std::span<const std::int64_t> members, std::int64_t bundle) {
  if (before != 0) {
    if (auto closed = close_grp_.bind(1, before).run(); !closed) return closed.error();
  }
  auto free = free_grp(connection);
  if (!free) return free;
  const std::string packed = pack_members(members);
  insert_grp_.bind(1, group.source).bind(2, group.device).bind(3, group.period_ms).bind_blob(4, packed);
  if (auto inserted = insert_grp_.bind(5, *free).bind(6, bundle).run(); !inserted) return inserted.error();
  return free;
}

void Identities::Columns::remove(SeriesId series) {
  const auto found = of_.find(series);
  if (found == of_.end()) return;
  series_of_[found->second] = SeriesId{UINT64_MAX};
  of_.erase(found);
}

void Identities::forget(std::span<const SeriesId> series, std::span<const GroupId> groups) {
  leaving_series_.assign(series.begin(), series.end());
  leaving_groups_.assign(groups.begin(), groups.end());
}

void Identities::keep() {
  for (auto& [id, file] : staged_.series)
    kept_.series[id] = file;
  for (auto& [id, group] : staged_.groups)
    kept_.groups[id] = std::move(group);
  for (const GroupId id : leaving_groups_)
    kept_.groups.erase(id);
  for (const SeriesId id : leaving_series_) {
    kept_.series.erase(id);
    for (auto& [group, known] : kept_.groups)
      known.columns.remove(id);
  }
  forget();
}

void Identities::forget() {
  staged_ = {};
  leaving_series_.clear();
  leaving_groups_.clear();
}

std::unordered_set<std::int64_t> Identities::groups_in_use() const {
  std::unordered_set<std::int64_t> ids;
  for (const auto& [id, group] : kept_.groups)
    ids.insert(group.columns.grp);
  return ids;
}

std::unordered_set<std::int64_t> Identities::series_in_use() const {
  std::unordered_set<std::int64_t> ids;
  for (const auto& [id, file] : kept_.series)
    ids.insert(file.id);
  return ids;
}

}  // namespace perjoule::storage
