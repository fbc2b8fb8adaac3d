#include "daemon/query/history_source.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "daemon/query/series_filter.hpp"

namespace perjoule::query {

namespace {

using storage::Bucket;
using storage::hour_ms;
using storage::minute_ms;
using storage::Resolution;

constexpr std::int64_t day_ms = 24 * hour_ms;
constexpr std::int64_t raw_span_ms = 2 * day_ms;
constexpr std::int64_t minute_span_ms = 60 * day_ms;
constexpr std::int64_t lookback_ms = 5 * minute_ms;
constexpr std::int64_t never_ms = INT64_MAX / 2;
constexpr std::int64_t differences = 4;  // points that a window needs for a usable rate

double value_of(const Bucket& bucket, Aspect aspect) {
  switch (aspect) {
    case Aspect::mean:
      return bucket.mean;
    case Aspect::min:
      return bucket.min;
    case Aspect::max:
      return bucket.max;
    case Aspect::sum:
      return bucket.mean * static_cast<double>(bucket.count);
    case Aspect::count:
      return static_cast<double>(bucket.count);
    case Aspect::last:
      break;
  }
  return bucket.last;
}

// A selector without a window finds the newest point of the last five minutes. Points at the ends of hours would mostly
// be older than that, so each step gets a point of its own: the newest bucket that has ended by then and has a sample.
// Roll-ups have no end marks. But a series has a bucket wherever its last value still holds, so it has ended where the
// bucket before the step's own is missing.
std::vector<storage::Point> at_steps(std::span<const Bucket> buckets, std::int64_t width_ms, const Want& want) {
  std::vector<storage::Point> points;
  std::size_t next = 0;
  const Bucket* newest = nullptr;
  std::int64_t alive_until_ms = INT64_MIN;
  for (std::int64_t at_ms = want.from_ms + lookback_ms; at_ms <= want.to_ms; at_ms += want.step_ms) {
    for (; next < buckets.size() && buckets[next].start_ms + width_ms <= at_ms; ++next) {
      if (buckets[next].count > 0) newest = &buckets[next];
      alive_until_ms = buckets[next].start_ms + width_ms;
    }
    if (newest != nullptr && at_ms - alive_until_ms < width_ms &&
        at_ms - (newest->start_ms + width_ms) < std::max(width_ms, lookback_ms)) {
      points.push_back({at_ms, newest->last});
    } else if (!points.empty() && !storage::is_end_mark(points.back().value)) {
      points.push_back({at_ms, storage::end_mark});  // else the point before it would hold for five minutes more
    }
    if (want.step_ms == 0) break;
  }
  return points;
}

// HistoryReader's errors as Source reports them: absent (more samples than the query may read) becomes denied, a limit
// of the query; denied (the file cannot be opened any more) becomes transient, so that it is not taken for such a
// limit.
Error as_query_error(Error error) {
  if (error.fault == Fault::denied) error.fault = Fault::transient;
  if (error.fault == Fault::absent) error.fault = Fault::denied;
  return error;
}

// The time of the oldest data of a resolution; never_ms if it has no data.
Result<std::int64_t> beginning(storage::Connection& connection, Resolution resolution) {
  auto oldest_ms = storage::HistoryReader::oldest_ms(connection, resolution);
  if (oldest_ms && *oldest_ms == 0) return never_ms;
  return oldest_ms;
}

}  // namespace

Labels to_labels(std::string_view metric, std::string_view text) {
  Labels labels = parse_labels(text).value_or(Labels{});
  std::erase_if(labels, [](const auto& label) { return label.second.empty(); });
  labels.emplace_back(name_label, metric);
  std::sort(labels.begin(), labels.end());
  return labels;
}

std::vector<storage::Point> to_points(std::span<const Bucket> buckets, std::int64_t width_ms, const Want& want) {
  if (want.window_ms == 0) return at_steps(buckets, width_ms, want);
  std::vector<storage::Point> points;
  points.reserve(buckets.size());
  for (const Bucket& bucket : buckets) {
    const bool has_value = want.aspect == Aspect::mean ? bucket.seconds > 0 : bucket.count > 0;
    const double value = value_of(bucket, want.aspect);
    if (has_value && !std::isnan(value)) points.push_back({bucket.start_ms + width_ms - 1, value});
  }
  return points;
}

Result<void> HistorySource::refresh() {
  // data_version is unchanged if no other connection has committed since the last call.
  const auto version = storage::Connection::integer(connection_.keep("PRAGMA data_version"));
  if (!version) return version.error();
  if (*version == version_) return {};
  auto count = storage::Connection::integer(connection_.keep("SELECT count(*) FROM series"));
  if (!count) return count.error();
  // Compares name and labels too: the id of an expired series is used again for a new one.
  auto newest = connection_.text("SELECT id || metric || labels FROM series ORDER BY id DESC LIMIT 1");
  if (!newest) return newest.error();
  if (seen_ == std::pair(*count, *newest)) {
    version_ = *version;
    return {};
  }
  auto stored = storage::HistoryReader(connection_).series("");
  if (!stored) return stored.error();
  stored_.clear();
  by_name_.clear();
  for (const auto& each : *stored)
    stored_.push_back({each.id, to_labels(each.description.metric, each.description.labels)});
  std::sort(stored_.begin(), stored_.end(),
            [](const StoredSeries& a, const StoredSeries& b) { return a.labels < b.labels; });
  for (std::size_t n = 0; n < stored_.size(); ++n)
    by_name_[std::string(label_value(stored_[n].labels, name_label))].push_back(n);
  seen_ = {*count, *newest};
  version_ = *version;
  return {};
}

Result<std::vector<const HistorySource::StoredSeries*>> HistorySource::matching(
    std::span<const Matcher> matchers) const {
  std::vector<const StoredSeries*> found;
  SeriesFilter filter(matchers, late_);
  const auto take = [&](const StoredSeries& stored) {
    if (!filter.stopped() && filter.admits(stored.labels)) found.push_back(&stored);
  };
  const auto finished = [&]() -> Result<std::vector<const StoredSeries*>> {
    if (filter.stopped()) return Error{Fault::timeout, "the selector did not match all series before the deadline"};
    return std::move(found);
  };
  for (const Matcher& matcher : matchers) {
    if (matcher.type != MatchType::equal || matcher.name != name_label) continue;
    const auto named = by_name_.find(matcher.value);
    if (named == by_name_.end()) return found;
    for (const std::size_t n : named->second)
      take(stored_[n]);
    return finished();
  }
  for (const StoredSeries& stored : stored_)
    take(stored);
  return finished();
}

// The coarsest roll-up that is at most `width_ms` wide and reaches back to the start of the query, or as far as raw
// samples do; else raw.
Result<Resolution> HistorySource::allowed_roll_up(const Want& want, std::int64_t width_ms) {
  if (width_ms < minute_ms) return Resolution::raw;
  auto raw_ms = beginning(connection_, Resolution::raw);
  if (!raw_ms) return raw_ms.error();
  for (const Resolution resolution : {Resolution::hour, Resolution::minute}) {
    if (resolution == Resolution::hour && width_ms < hour_ms) continue;
    auto begin_ms = beginning(connection_, resolution);
    if (!begin_ms) return begin_ms.error();
    if (*begin_ms <= std::max(want.from_ms, *raw_ms)) return resolution;
  }
  return Resolution::raw;
}

Result<Resolution> HistorySource::resolution_for(const Want& want) {
  const std::int64_t span_ms = want.to_ms - want.from_ms;
  std::int64_t grain_ms = want.step_ms > 0 ? want.step_ms : hour_ms;  // a single step allows hours
  if (want.window_ms > 0) grain_ms = want.aspect == Aspect::last ? want.window_ms / differences : want.window_ms;
  std::int64_t width_ms = std::min(grain_ms, want.source_resolution_ms);
  // A selector without a window asks for the newest sample, and a bucket that has ended is older than that. At the
  // steps of a graph an age below a minute is acceptable; an instant query gets no roll-up if raw samples exist.
  if (want.window_ms == 0) width_ms = want.step_ms > 0 ? std::min(width_ms, minute_ms) : 0;
  auto allowed = allowed_roll_up(want, width_ms);
  if (!allowed || *allowed != Resolution::raw) return allowed;
  // Roll-ups have too few points for such a window. A selector without a window may repeat a minute's value at several
  // steps, though.
  if (want.window_ms > 0 && grain_ms < minute_ms) return Resolution::raw;
  auto raw_ms = beginning(connection_, Resolution::raw);
  if (!raw_ms) return raw_ms.error();
  const bool reads_raw = span_ms <= raw_span_ms || grain_ms < minute_ms;
  if (reads_raw && want.from_ms >= *raw_ms) return Resolution::raw;
  auto minutes_ms = beginning(connection_, Resolution::minute);
  if (!minutes_ms) return minutes_ms.error();
  auto hours_ms = beginning(connection_, Resolution::hour);
  if (!hours_ms) return hours_ms.error();
  // If the coarser resolution does not reach further back (by more than an hour), use the finer one.
  if (reads_raw && *raw_ms <= std::min(*minutes_ms, *hours_ms) + hour_ms) return Resolution::raw;
  if (grain_ms < hour_ms) return Resolution::minute;
  if (span_ms <= minute_span_ms && (want.from_ms >= *minutes_ms || *minutes_ms <= *hours_ms + hour_ms)) {
    return Resolution::minute;
  }
  return Resolution::hour;
}

Result<void> HistorySource::take_raw(const Want& want, std::span<const std::int64_t> ids, Selected& selected) {
  storage::HistoryReader reader(connection_, late_);
  auto points = reader.raw(ids, {want.from_ms, want.to_ms}, want.samples_max);
  if (!points) return points.error();
  for (std::size_t n = 0; n < ids.size(); ++n)
    selected.series[n].points = std::move((*points)[n]);
  if (reader.undecodable() > 0)
    selected.warning = fmt::format("{} damaged blocks of the history were skipped", reader.undecodable());
  return {};
}

Result<void> HistorySource::take_buckets(const Want& want, Resolution resolution, std::span<const std::int64_t> ids,
                                         Selected& selected) {
  const bool hours = resolution == Resolution::hour;
  const std::int64_t width_ms = hours ? hour_ms : minute_ms;
  storage::HistoryReader reader(connection_, late_);
  // A bucket has its point at its end, so one that begins before the range may have its point in it.
  const storage::Range range{want.from_ms - 2 * width_ms, want.to_ms - width_ms + 1};
  auto buckets = reader.buckets(ids, range, resolution, want.samples_max);
  if (!buckets) return buckets.error();
  std::size_t count = 0;
  for (std::size_t n = 0; n < ids.size(); ++n) {
    std::vector<storage::Point>& points = selected.series[n].points;
    points = to_points((*buckets)[n], width_ms, want);
    std::erase_if(points, [&](const storage::Point& point) {
      return point.wall_ms < want.from_ms || point.wall_ms > want.to_ms;
    });
    count += points.size();
    // The reader counts buckets, but one bucket may give a point at many steps.
    if (count > want.samples_max) return Error{Fault::absent, fmt::format("more than {} samples", want.samples_max)};
  }
  selected.rolled_up = true;
  selected.warning = fmt::format(
      "answered from {} roll-ups: the range is too old or too long for raw samples, or "
      "max_source_resolution allows it{}",
      hours ? "hour" : "minute", reader.undecodable() > 0 ? "; damaged blocks were skipped" : "");
  return {};
}

Result<Selected> HistorySource::select(const Want& want) {
  if (auto fresh = refresh(); !fresh) return as_query_error(fresh.error());
  auto found = matching(want.matchers);
  if (!found) return found.error();
  // Series that have ended long ago do not count.
  if (found->size() > want.series_max) {
    if (auto kept = keep_present(*found, want.from_ms, want.to_ms); !kept) return kept.error();
  }
  if (found->size() > want.series_max) {
    return Error{Fault::denied,
                 fmt::format("the selector matches {} series, more than {}", found->size(), want.series_max)};
  }
  Selected selected;
  std::vector<std::int64_t> ids;
  for (const StoredSeries* stored : *found) {
    ids.push_back(stored->id);
    selected.series.push_back({stored->labels, {}});
  }
  if (ids.empty()) return selected;
  auto resolution = resolution_for(want);
  if (!resolution) return as_query_error(resolution.error());
  auto taken =
      *resolution == Resolution::raw ? take_raw(want, ids, selected) : take_buckets(want, *resolution, ids, selected);
  if (!taken) return as_query_error(taken.error());
  std::erase_if(selected.series, [](const Series& series) { return series.points.empty(); });
  return selected;
}

Result<std::vector<Labels>> HistorySource::series(std::span<const Matcher> matchers, std::int64_t from_ms,
                                                  std::int64_t to_ms) {
  if (auto fresh = refresh(); !fresh) return as_query_error(fresh.error());
  auto found = matching(matchers);
  if (!found) return found.error();
  if (from_ms > INT64_MIN || to_ms < INT64_MAX) {
    if (auto kept = keep_present(*found, from_ms, to_ms); !kept) return kept.error();
  }
  std::vector<Labels> labels;
  for (const StoredSeries* stored : *found)
    labels.push_back(stored->labels);
  return labels;
}

Result<void> HistorySource::keep_present(std::vector<const StoredSeries*>& found, std::int64_t from_ms,
                                         std::int64_t to_ms) {
  std::vector<std::int64_t> ids;
  for (const StoredSeries* stored : found)
    ids.push_back(stored->id);
  auto present = storage::HistoryReader(connection_, late_).present(ids, {from_ms, to_ms});
  if (!present) return as_query_error(present.error());
  std::size_t kept = 0;
  for (std::size_t n = 0; n < found.size(); ++n) {
    if ((*present)[n] != 0) found[kept++] = found[n];
  }
  found.resize(kept);
  return {};
}

}  // namespace perjoule::query
