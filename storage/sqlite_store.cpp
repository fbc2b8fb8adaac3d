#include "storage/sqlite_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <system_error>

namespace perjoule::storage {

namespace {

constexpr std::int64_t frames_per_retain = 64;

std::int64_t file_bytes(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

Error opened_read_only(const std::filesystem::path& path) {
  return {Fault::denied, fmt::format("{}: was opened for reading", path.string())};
}

}  // namespace

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::filesystem::path& path, std::int64_t now_ms,
                                                       Notes& notes) {
  auto connection = open_database(path, history_format, now_ms, notes);
  if (!connection) return connection.error();
  std::unique_ptr<SqliteStore> store(new SqliteStore(path, std::move(*connection)));
  if (auto prepared = store->prepare_writing(); !prepared) return prepared.error();
  return store;
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::open_read_only(const std::filesystem::path& path) {
  auto connection = open_database_read_only(path, history_format);
  if (!connection) return connection.error();
  std::unique_ptr<SqliteStore> store(new SqliteStore(path, std::move(*connection)));
  auto frames = store->connection_.integer("SELECT count(*) FROM tail");
  if (!frames) return frames.error();
  store->frames_ = *frames;
  return store;
}

Result<void> SqliteStore::prepare_writing() {
  auto identities = Identities::make(connection_);
  if (!identities) return identities.error();
  identities_ = std::move(*identities);
  auto insert = connection_.prepare("INSERT INTO tail(seq, first_ms, last_ms, d) VALUES(?1, ?2, ?3, ?4)");
  if (!insert) return insert.error();
  insert_frame_ = std::move(*insert);
  auto last = connection_.integer("SELECT max(seq) FROM tail");
  if (!last) return last.error();
  next_seq_ = *last + 1;
  auto frames = connection_.integer("SELECT count(*) FROM tail");
  if (!frames) return frames.error();
  frames_ = *frames;
  return {};
}

Result<void> SqliteStore::append(const Frame& frame) {
  if (!identities_) return opened_read_only(path_);
  if (auto in_place = connection_.in_place(); !in_place) return in_place;
  auto appended = connection_.transaction([&] { return append_in_transaction(frame); });
  if (!appended) {
    identities_->forget();
    return appended;
  }
  identities_->keep();
  if (!frame.ticks.empty()) {
    ++next_seq_;
    ++frames_;
  }
  return {};
}

Result<void> SqliteStore::append_in_transaction(const Frame& frame) {
  for (const auto& series : frame.series) {
    if (auto described = identities_->describe(series); !described) return described;
  }
  for (const auto& group : frame.groups)
    identities_->describe(group);
  if (frame.ticks.empty()) return {};
  if (auto encoded = encode(frame); !encoded) return encoded;
  const auto [first, last] = std::minmax_element(frame.ticks.begin(), frame.ticks.end(),
                                                 [](const Tick& a, const Tick& b) { return a.wall_ms < b.wall_ms; });
  insert_frame_.bind(1, next_seq_).bind(2, first->wall_ms).bind(3, last->wall_ms).bind_blob(4, encoded_);
  return insert_frame_.run();
}

Result<void> SqliteStore::encode(const Frame& frame) {
  std::map<GroupId, std::vector<const Tick*>> ticks_of;
  for (const auto& tick : frame.ticks)
    ticks_of[tick.group].push_back(&tick);
  const std::int64_t base_ms = frame.ticks.front().wall_ms;
  begin_frame(encoded_, base_ms);
  for (const auto& [group, ticks] : ticks_of) {
    const auto is_empty = [](const Tick* tick) { return tick->samples.empty(); };
    if (std::all_of(ticks.begin(), ticks.end(), is_empty)) continue;
    auto columns = identities_->columns(connection_, group, ticks, next_seq_ - 1);
    if (!columns) return columns.error();
    const std::size_t count = (*columns)->count;
    if (ticks.size() > frame_ticks_max || count > frame_columns_max) {
      return Error{Fault::transient,
                   fmt::format("history: {} ticks of {} series at once are too many", ticks.size(), count)};
    }
    block_.reset((*columns)->grp, count, ticks.size());
    for (std::size_t at = 0; at < ticks.size(); ++at) {
      block_.stamps_ms[at] = ticks[at]->wall_ms;
      std::size_t expected = 0;
      for (const auto& sample : ticks[at]->samples) {
        const std::size_t cell = (*columns)->find(sample.series, expected) * ticks.size() + at;
        block_.values[cell] = sample.value;
        block_.present[cell] = 1;
      }
    }
    append_group(encoded_, base_ms, block_);
  }
  return {};
}

Result<std::int64_t> SqliteStore::used_bytes() {
  auto pages = connection_.integer("PRAGMA page_count");
  if (!pages) return pages;
  auto free = connection_.integer("PRAGMA freelist_count");
  if (!free) return free;
  return (*pages - *free) * 4096;
}

Result<bool> SqliteStore::retain(std::int64_t oldest_ms, std::int64_t bytes_max) {
  if (!identities_) return opened_read_only(path_);
  auto expired = connection_.integer(fmt::format("SELECT EXISTS(SELECT 1 FROM tail WHERE last_ms < {})", oldest_ms));
  if (!expired) return expired.error();
  auto used = used_bytes();
  if (!used) return used.error();
  if (*expired == 0 && (*used <= bytes_max || frames_ == 0)) return false;
  std::int64_t dropped = 0;
  bool more = false;
  auto done = connection_.transaction([&]() -> Result<void> {
    auto by_time = connection_.run(
        fmt::format("DELETE FROM tail WHERE seq IN (SELECT seq FROM tail WHERE last_ms < {} ORDER BY last_ms LIMIT {})",
                    oldest_ms, frames_per_retain));
    if (!by_time) return by_time;
    dropped = connection_.changes();
    // In the order of writing: a stamp from a clock that ran ahead must not outlive the rest.
    auto oldest = connection_.prepare("DELETE FROM tail WHERE seq = (SELECT min(seq) FROM tail)");
    if (!oldest) return oldest.error();
    for (;; ++dropped) {
      auto now = used_bytes();
      if (!now) return now.error();
      more = dropped >= frames_per_retain;
      if (more || *now <= bytes_max || dropped == frames_) break;
      if (auto deleted = oldest->run(); !deleted) return deleted;
    }
    return drop_unused();
  });
  if (!done) return done.error();
  frames_ -= dropped;
  return more && frames_ > 0;
}

// Closed memberships that no frame uses any more, and series that are in no membership.
Result<void> SqliteStore::drop_unused() {
  auto dropped = connection_.run(
      fmt::format("DELETE FROM grp WHERE closed_seq < ifnull((SELECT min(seq) FROM tail), {})", next_seq_));
  if (!dropped) return dropped;
  if (connection_.changes() == 0) return {};
  std::unordered_set<std::int64_t> used = identities_->series_in_use();
  auto groups = connection_.prepare("SELECT members FROM grp");
  if (!groups) return groups.error();
  for (;;) {
    auto row = groups->step();
    if (!row) return row.error();
    if (!*row) break;
    for (auto member : unpack_members(groups->blob(0)))
      used.insert(member);
  }
  std::vector<std::int64_t> unused;
  auto series = connection_.prepare("SELECT id FROM series");
  if (!series) return series.error();
  for (;;) {
    auto row = series->step();
    if (!row) return row.error();
    if (!*row) break;
    if (!used.contains(series->integer(0))) unused.push_back(series->integer(0));
  }
  auto drop = connection_.prepare("DELETE FROM series WHERE id = ?1");
  if (!drop) return drop.error();
  for (auto id : unused) {
    if (auto deleted = drop->bind(1, id).run(); !deleted) return deleted;
  }
  return {};
}

Result<StoreSize> SqliteStore::size() {
  StoreSize size;
  size.bytes = file_bytes(path_) + file_bytes(path_.string() + "-wal");
  size.frames = frames_;
  auto series = connection_.integer("SELECT count(*) FROM series");
  if (!series) return series.error();
  size.series = *series;
  auto oldest = connection_.integer("SELECT first_ms FROM tail ORDER BY last_ms LIMIT 1");
  if (!oldest) return oldest.error();
  size.oldest_ms = *oldest;
  return size;
}

}  // namespace perjoule::storage
