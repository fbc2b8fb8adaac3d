#include "storage/history/sqlite_store.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <system_error>

#include "storage/history/end_marks.hpp"
#include "storage/history/history_reader.hpp"
#include "storage/history/slot.hpp"

namespace perjoule::storage {

namespace {

// A tick more than this before the newest one of its group means that the clock was set back. Any other tick that is
// not newer is late and refused.
constexpr std::int64_t set_back_ms = 60'000;
// A group that was silent for longer, or whose clock stepped ahead, gets a new grp row. Sealing and reading visit all
// slots from the first to the last of a grp, so these must not be years apart.
constexpr std::int64_t silent_ms = 24 * hour_ms;

std::int64_t file_bytes(const std::filesystem::path& path) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  return error ? 0 : static_cast<std::int64_t>(size);
}

// The nearest multiple of `step`. For a step of 0.1 it divides by 10, because 3 * 0.1 is 0.30000000000000004 but 3 / 10
// is 0.3, which the codec stores as an integer.
double to_step(double value, double step) {
  if (step <= 0 || !std::isfinite(value)) return value;  // an end mark keeps its bits
  if (step >= 1) return std::nearbyint(value / step) * step;
  const double parts = std::nearbyint(1 / step);
  return std::nearbyint(value * parts) / parts;
}

// At most, and about: a value takes 8 bytes where it cannot be predicted, and a row of the tail two pages more.
std::int64_t pages_of(const Frame& frame) {
  constexpr std::size_t value_bytes = 10;
  std::size_t samples = 0;
  for (const Tick& tick : frame.ticks)
    samples += tick.samples.size();
  return static_cast<std::int64_t>(samples * value_bytes / 4096 + frame.series.size() / 16 + 12);
}

Error opened_read_only(const std::filesystem::path& path) {
  return {Fault::denied, fmt::format("{}: cannot write, it was opened read-only", path.string())};
}

}  // namespace

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::filesystem::path& path, std::int64_t now_ms,
                                                       Notes& notes) {
  remove_copy(path);
  auto connection = open_database(path, history_format, now_ms, notes);
  if (!connection) return connection.error();
  // Debian's SQLite overwrites what is deleted: each expired slot would go through the log as zeros, a megabyte in one
  // transaction.
  if (auto set = connection->run("PRAGMA secure_delete=OFF"); !set) return set.error();
  std::unique_ptr<SqliteStore> store(new SqliteStore(path, std::move(*connection)));
  if (auto prepared = store->prepare_writing(); !prepared) return prepared.error();
  return store;
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::open_read_only(const std::filesystem::path& path) {
  auto connection = open_history(path);
  if (!connection) return connection.error();
  return std::unique_ptr<SqliteStore>(new SqliteStore(path, std::move(*connection)));
}

Result<void> SqliteStore::prepare_writing() {
  if (!identities_) {
    auto identities = Identities::make(connection_);
    if (!identities) return identities.error();
    identities_ = std::move(*identities);
    auto sealer = Sealer::make(connection_);
    if (!sealer) return sealer.error();
    sealer_ = std::move(*sealer);
  }
  if (auto loaded = tail_.load(connection_); !loaded) return loaded;
  auto retention = Retention::load(connection_);
  if (!retention) return retention.error();
  retention_ = *retention;
  if (auto loaded = load_clock(); !loaded) return loaded;
  sealer_->forget();
  stale_ = false;
  return {};
}

template <class Body>
Result<void> SqliteStore::change(const Body& body) {
  if (!identities_) return opened_read_only(path_);
  if (stale_) {
    if (auto prepared = prepare_writing(); !prepared) return prepared;
  }
  auto changed = connection_.transaction(body);
  if (changed) {
    identities_->keep();
  } else {
    identities_->forget();
    stale_ = true;
  }
  return changed;
}

Result<void> SqliteStore::append(const Frame& frame) {
  refusing_ = 0;
  const std::int64_t newest_ms = frame.ticks.empty() ? now_ms_ : frame.ticks.back().wall_ms;
  auto room = log_guard_.room_for(connection_, pages_of(frame));
  log_guard_.look(connection_, newest_ms);
  if (!room) return room;
  auto appended = change([&] { return append_in_transaction(frame); });
  if (!appended) return appended;
  log_guard_.look(connection_, newest_ms);
  refused_samples_ += refusing_;
  if (!frame.series.empty()) series_.reset();
  now_ms_ = newest_ms;
  return {};
}

Result<void> SqliteStore::end_previous_run() {
  return change([&]() -> Result<void> {
    auto ended_ms = write_end_marks(connection_, *identities_, tail_);
    if (!ended_ms) return ended_ms.error();
    if (*ended_ms > 0) clock_.advance(*ended_ms);
    return keep_clock();
  });
}

Result<void> SqliteStore::append_in_transaction(const Frame& frame) {
  for (const auto& series : frame.series) {
    if (auto described = identities_->describe(series); !described) return described;
  }
  for (const auto& group : frame.groups)
    identities_->describe(group);
  if (auto encoded = encode(frame); !encoded) return encoded;
  std::erase_if(bundles_, [](const auto& bundle) { return bundle.second.held.empty(); });
  for (const auto& [bundle, row] : bundles_) {
    if (auto inserted = tail_.insert(bundle, row.frame, row.held); !inserted) return inserted;
  }
  for (const Tick& tick : frame.ticks) {
    if (tick.wall_ms > 0) clock_.advance(tick.wall_ms);
  }
  identities_->forget(frame.forgotten_series, frame.forgotten_groups);
  return keep_clock();
}

Result<void> SqliteStore::encode(const Frame& frame) {
  for (auto& [bundle, row] : bundles_)
    row.held.clear();
  std::vector<const Tick*> ticks;
  ticks.reserve(frame.ticks.size());
  for (const auto& tick : frame.ticks) {
    if (!tick.samples.empty()) ticks.push_back(&tick);
  }
  std::stable_sort(ticks.begin(), ticks.end(), [](const Tick* a, const Tick* b) { return a->group < b->group; });
  for (auto first = ticks.begin(); first != ticks.end();) {
    const auto last =
        std::find_if(first, ticks.end(), [&](const Tick* tick) { return tick->group != (*first)->group; });
    if (auto encoded = encode_group({first, last}); !encoded) return encoded;
    first = last;
  }
  return {};
}

// Encodes the ticks in runs of ascending timestamps. A new run begins where the clock went back or stepped far ahead.
// Late ticks are refused; the accepted ones are moved to the front of `ticks`.
Result<void> SqliteStore::encode_group(std::span<const Tick*> ticks) {
  const GroupId group = ticks.front()->group;
  auto grp = identities_->grp_of(group);
  if (!grp) return grp.error();
  std::int64_t newest_ms = *grp == 0 ? -1 : tail_.newest_ms(*grp);
  std::size_t first = 0;
  std::size_t taken = 0;
  bool renew = false;
  for (const Tick* tick : ticks) {
    const std::int64_t ahead_ms = tick->wall_ms - newest_ms;
    const bool steps = newest_ms >= 0 && (ahead_ms > silent_ms || ahead_ms < -set_back_ms);
    if (tick->wall_ms < 0 || (ahead_ms <= 0 && !steps)) {
      refusing_ += tick->samples.size();
      continue;
    }
    if (steps) {
      if (auto encoded = encode_run(group, ticks.subspan(first, taken - first), renew); !encoded) return encoded;
      first = taken;
      renew = true;
    }
    ticks[taken++] = tick;
    newest_ms = tick->wall_ms;
  }
  return encode_run(group, ticks.subspan(first, taken - first), renew);
}

Result<const Identities::Columns*> SqliteStore::change_columns(GroupId group, std::span<const Tick* const> run,
                                                               bool renew) {
  auto before = identities_->grp_of(group);
  if (!before) return before.error();
  auto columns = identities_->columns(connection_, group, run, renew);
  if (!columns) return columns;
  if (*before != 0 && (*columns)->grp != *before) tail_.closed(*before);
  if ((*columns)->count > frame_columns_max)
    return Error{Fault::transient,
                 fmt::format("history: {} series in one group, the limit is {}", (*columns)->count, frame_columns_max)};
  return columns;
}

// Fills `block_`. False: a series has no column.
bool SqliteStore::fill_block(const Identities::Columns& columns, std::span<const Tick* const> run) {
  block_.reset(columns.grp, columns.count, run.size());
  const std::span values(block_.values);
  const std::span present(block_.present);
  for (std::size_t at = 0; at < run.size(); ++at) {
    block_.stamps_ms[at] = run[at]->wall_ms;
    std::size_t expected = 0;
    for (const auto& sample : run[at]->samples) {
      const std::size_t column = columns.find(sample.series, expected);
      if (column == Identities::Columns::none) return false;
      const std::size_t cell = column * run.size() + at;
      values[cell] = to_step(sample.value, columns.step(column));
      present[cell] = 1;
    }
  }
  return true;
}

Result<void> SqliteStore::encode_run(GroupId group, std::span<const Tick* const> run, bool renew) {
  if (run.empty()) return {};
  if (run.size() > frame_ticks_max)
    return Error{Fault::transient, fmt::format("history: {} ticks of one group in one commit, the limit is {}",
                                               run.size(), frame_ticks_max)};
  const Identities::Columns* columns = renew ? nullptr : identities_->settled(group);
  if (columns == nullptr || !fill_block(*columns, run)) {
    auto changed = change_columns(group, run, renew);
    if (!changed) return changed.error();
    columns = *changed;
    if (!fill_block(*columns, run)) return Error{Fault::broken, "history: a series without a column"};
  }
  Bundle& bundle = bundles_[columns->bundle];
  const std::int64_t base_ms = bundle.held.empty() ? block_.stamps_ms.front() : bundle.base_ms;
  if (bundle.held.empty()) begin_frame(bundle.frame, base_ms);
  bundle.base_ms = base_ms;
  append_group(bundle.frame, base_ms, block_);
  bundle.held.push_back({block_.group, block_.stamps_ms.front(), block_.stamps_ms.back()});
  return {};
}

Result<bool> SqliteStore::seal() {
  if (!log_guard_.is_roomy(connection_)) return false;
  if (stale_) {
    if (auto ready = change([]() -> Result<void> { return {}; }); !ready) return ready.error();
  }
  const Tail::Due due = tail_.due(now_ms_);
  if (due.groups.empty()) return false;
  auto sealed = change([&] { return sealer_->seal(tail_, due); });
  if (!sealed) return sealed.error();
  retention_->add(sealer_->take_written());
  if (sealer_->has_much_carried()) sealer_->drop_carried(identities_->series_in_use());
  return !tail_.due(now_ms_).groups.empty();
}

Result<void> SqliteStore::keep_clock() {
  if (!clock_.differs(clock_kept_)) return {};
  const BelievedClock::State& state = clock_.state();
  clock_kept_ = state;
  return connection_.run(
      fmt::format("INSERT OR REPLACE INTO meta(name, value) VALUES('clock_believed_ms', {}), ('clock_step_ms', {}), "
                  "('clock_newest_ms', {})",
                  state.believed_ms, state.step_ms, state.newest_ms));
}

Result<void> SqliteStore::load_clock() {
  BelievedClock::State state;
  for (const auto& [value, name] :
       {std::pair(&state.believed_ms, "clock_believed_ms"), std::pair(&state.step_ms, "clock_step_ms"),
        std::pair(&state.newest_ms, "clock_newest_ms")}) {
    auto stored = connection_.integer(fmt::format("SELECT value FROM meta WHERE name = '{}'", name));
    if (!stored) return stored.error();
    *value = *stored;
  }
  clock_ = BelievedClock(state);
  clock_kept_ = state;
  return {};
}

RetentionLimits SqliteStore::limits_of(const RetentionPolicy& policy) const {
  const std::int64_t now_ms = clock_.now_ms();
  const auto from = [&](std::int64_t age_ms) { return age_ms > 0 && now_ms > 0 ? now_ms - age_ms : INT64_MIN; };
  return {from(policy.raw_ms), from(policy.minute_ms), from(policy.hour_ms),
          policy.bytes_max > 0 ? policy.bytes_max : INT64_MAX};
}

Result<bool> SqliteStore::retain(const RetentionPolicy& policy) {
  if (!identities_) return opened_read_only(path_);
  if (stale_) {
    if (auto prepared = prepare_writing(); !prepared) return prepared.error();
  }
  policy_ = policy;
  const RetentionLimits limits = limits_of(policy);
  if (auto bounded = log_guard_.bound(connection_, limits.bytes_max); !bounded) return bounded.error();
  if (!log_guard_.is_roomy(connection_)) return false;
  auto due = retention_->is_due(connection_, limits);
  if (!due) return due;
  if (!*due) return false;
  bool more = false;
  auto dropped = change([&]() -> Result<void> {
    auto again =
        retention_->drop(connection_, limits, tail_, identities_->groups_in_use(), identities_->series_in_use());
    if (!again) return again.error();
    more = *again;
    return {};
  });
  if (!dropped) return dropped.error();
  series_.reset();
  expired_samples_ += retention_->take_expired();
  for (const std::int64_t grp : retention_->take_gone()) {
    tail_.forget(grp);
    sealer_->forget(grp);
  }
  return more;
}

Result<StoreSize> SqliteStore::size() {
  StoreSize size;
  size.bytes = file_bytes(path_) + file_bytes(path_.string() + "-wal");
  size.refused_samples = refused_samples_;
  if (!series_) {
    auto series = connection_.integer("SELECT count(*) FROM series");
    if (!series) return series.error();
    series_ = *series;
  }
  size.series = *series_;
  if (retention_) {
    size.tail_rows = static_cast<std::int64_t>(tail_.rows());
    size.oldest_ms = retention_->oldest_ms() > 0 ? retention_->oldest_ms() : tail_.oldest_ms();
    size.expired_samples = expired_samples_;
    size.undecodable = tail_.undecodable();
    if (auto looked = capacity_.look(connection_, clock_.now_ms()); !looked) return looked.error();
    if (const auto& per_hour = capacity_.per_hour()) {
      auto room = retention_->room_for_resolutions(connection_, limits_of(policy_).bytes_max);
      if (!room) return room.error();
      size.reach_ms = reach_ms(*per_hour, {policy_.raw_ms, policy_.minute_ms, policy_.hour_ms}, *room);
    }
    return size;
  }
  auto rows = connection_.integer("SELECT count(*) FROM tail");
  if (!rows) return rows.error();
  size.tail_rows = *rows;
  auto oldest = HistoryReader::oldest_ms(connection_);
  if (!oldest) return oldest.error();
  size.oldest_ms = *oldest;
  return size;
}

Result<void> SqliteStore::read(const Selection& selection, const Each& each) {
  HistoryReader reader(connection_);
  auto read = reader.read(selection, each);
  reader_undecodable_ = std::max(reader_undecodable_, reader.undecodable());
  return read;
}

}  // namespace perjoule::storage
