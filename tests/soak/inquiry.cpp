#include "tests/soak/inquiry.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>

#include "tests/soak/bucket_count.hpp"

namespace perjoule {

namespace {

using storage::Bucket;
using storage::hour_ms;
using storage::minute_ms;
using storage::Point;
using storage::Resolution;

constexpr std::int64_t day_ms = 24 * hour_ms;
constexpr std::size_t answers_max = std::size_t{1} << 26;
constexpr std::int64_t window_buckets = 90;  // number of buckets of an answer that are compared with the samples
constexpr std::int64_t window_points_ms = 2 * hour_ms;

bool same_bits(double a, double b) {
  return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

std::int64_t ceil_to(std::int64_t stamp_ms, std::int64_t width_ms) {
  return (stamp_ms + width_ms - 1) / width_ms * width_ms;
}

}  // namespace

// These are the ranges that the query engine reads (daemon/query/history_source.cpp): a day of samples or minutes, a
// month of minutes or hours, and a year of hours.
const Inquiry::Question Inquiry::questions[] = {
    {"day raw 1", Resolution::raw, day_ms, 1},
    {"day raw 10", Resolution::raw, day_ms, 10},
    {"day minutes 1", Resolution::minute, day_ms, 1},
    {"day minutes 10", Resolution::minute, day_ms, 10},
    {"month minutes 1", Resolution::minute, 30 * day_ms, 1},
    {"month minutes 10", Resolution::minute, 30 * day_ms, 10},
    {"month hours 1", Resolution::hour, 30 * day_ms, 1},
    {"month hours 10", Resolution::hour, 30 * day_ms, 10},
    {"year hours 1", Resolution::hour, 365 * day_ms, 1},
    {"year hours 10", Resolution::hour, 365 * day_ms, 10},
};

void Inquiry::round() {
  storage::Connection connection = need(storage::open_history(path_));
  if (ids_.empty()) {
    ids_.resize(past_.plan().series);
    for (std::size_t s = 0; s < ids_.size(); ++s)
      series_of_labels_[past_.labels(s)] = s;
    storage::HistoryReader reader(connection);
    for (const auto& each : need(reader.series("")))
      ids_[series_of_labels_.at(each.description.labels)] = each.id;
  }
  for (const Question& question : questions)
    ask(connection, question);
}

void Inquiry::ask(storage::Connection& connection, const Question& question) {
  std::vector<std::size_t> chosen;
  while (chosen.size() < question.series) {
    const std::size_t series = random_() % ids_.size();
    if (std::find(chosen.begin(), chosen.end(), series) == chosen.end()) chosen.push_back(series);
  }
  std::vector<std::int64_t> ids;
  for (const std::size_t series : chosen)
    ids.push_back(ids_[series]);
  const std::int64_t from_ms = std::max(past_.now_ms() - question.span_ms, std::int64_t{0});
  const std::int64_t oldest_ms = need(storage::HistoryReader::oldest_ms(connection, question.resolution));
  storage::HistoryReader reader(connection);
  const bool raw = question.resolution == Resolution::raw;
  std::vector<std::vector<Point>> points;
  std::vector<std::vector<Bucket>> buckets;
  const storage::Range range{from_ms, past_.now_ms()};
  const auto begin = std::chrono::steady_clock::now();
  const double begin_cpu_ms = cpu_ms();
  if (raw) {
    points = need(reader.raw(ids, range, answers_max));
  } else {
    buckets = need(reader.buckets(ids, range, question.resolution, answers_max));
  }
  Times& times = times_[question.name];
  times.cpu_ms.add(cpu_ms() - begin_cpu_ms);
  times.wall_ms.add(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count());
  verdict_.expect(reader.undecodable() == 0, fmt::format("{}: undecodable parts", question.name));
  const std::int64_t whole_from_ms = std::max({from_ms, oldest_ms, past_.plan().start_ms});
  std::size_t answers = 0;
  for (std::size_t n = 0; n < chosen.size(); ++n) {
    const std::string where = fmt::format("{}: {} at {}", question.name, past_.labels(chosen[n]), past_.now_ms());
    answers += raw ? points[n].size() : buckets[n].size();
    if (raw) {
      check_raw(where, chosen[n], points[n], whole_from_ms);
    } else {
      check_buckets(where, chosen[n], buckets[n], whole_from_ms,
                    question.resolution == Resolution::hour ? hour_ms : minute_ms);
    }
  }
  times.answers_most = std::max(times.answers_most, answers);
}

// Checks the number of points of the whole range, and every point of a window.
void Inquiry::check_raw(const std::string& where, std::size_t series, const std::vector<Point>& answer,
                        std::int64_t from_ms) {
  const std::int64_t ticks = (past_.now_ms() - from_ms) / past_.plan().period_ms;
  const auto count = static_cast<std::int64_t>(answer.size());
  if (count < ticks - 1 || count > ticks + 2) {
    verdict_.violation(fmt::format("{}: {} points of {}", where, count, ticks));
    return;
  }
  const std::int64_t span_ms = std::max<std::int64_t>(past_.now_ms() - from_ms - window_points_ms, 1);
  const std::int64_t window_ms = from_ms + static_cast<std::int64_t>(random_()) % span_ms;
  const std::int64_t begin_ms = std::max(window_ms, from_ms);
  const auto expected = past_.points(series, begin_ms, begin_ms + window_points_ms);
  auto at = std::lower_bound(answer.begin(), answer.end(), begin_ms,
                             [](const Point& point, std::int64_t stamp_ms) { return point.wall_ms < stamp_ms; });
  const double step = past_.step(series);
  for (const Point& point : expected) {
    ++compared_;
    const bool there = at != answer.end() && at->wall_ms == point.wall_ms;
    const bool right = there && (step > 0 ? std::fabs(at->value - point.value) <= step / 2 * (1 + 1e-9)
                                          : same_bits(at->value, point.value));
    if (!right) {
      verdict_.violation(fmt::format("{}: the point at {} is {}, not {}", where, point.wall_ms,
                                     there ? fmt::format("{}", at->value) : "missing", point.value));
      return;
    }
    ++at;
  }
}

// Checks that every bucket of the range occurs once, and the contents of the buckets of some windows.
void Inquiry::check_buckets(const std::string& where, std::size_t series, const std::vector<Bucket>& answer,
                            std::int64_t from_ms, std::int64_t width_ms) {
  const std::int64_t first_ms = ceil_to(from_ms, width_ms);
  const std::int64_t last_ms = past_.now_ms() / width_ms * width_ms;
  const std::int64_t wanted = last_ms < first_ms ? 0 : (last_ms - first_ms) / width_ms + 1;
  if (static_cast<std::int64_t>(answer.size()) != wanted) {
    verdict_.violation(fmt::format("{}: {} buckets, not {}", where, answer.size(), wanted));
    return;
  }
  for (std::size_t n = 0; n < answer.size(); ++n) {
    if (answer[n].start_ms == first_ms + static_cast<std::int64_t>(n) * width_ms) continue;
    verdict_.violation(fmt::format("{}: bucket {} begins at {}", where, n, answer[n].start_ms));
    return;
  }
  compare_window(where, series, answer, width_ms);
}

void Inquiry::compare_window(const std::string& where, std::size_t series, const std::vector<Bucket>& answer,
                             std::int64_t width_ms) {
  if (answer.empty()) return;
  const auto count = static_cast<std::int64_t>(answer.size());
  const std::int64_t window = std::min(count, width_ms == hour_ms ? 6 : window_buckets);
  // One time in three at the end, which is not sealed yet; otherwise at a random place.
  const std::int64_t room = count - window;
  const std::int64_t first = random_() % 3 == 0 || room == 0 ? room : static_cast<std::int64_t>(random_() >> 1U) % room;
  const std::int64_t begin_ms = answer[static_cast<std::size_t>(first)].start_ms;
  // Includes one sample before, because the increase of a counter starts there.
  const auto points = past_.points(series, begin_ms - 2 * past_.plan().period_ms, begin_ms + window * width_ms - 1);
  std::map<std::int64_t, BucketCount> expected;
  for (std::size_t n = 0; n < points.size(); ++n) {
    const double value = past_.stored(series, points[n].value);
    BucketCount& bucket = expected[points[n].wall_ms / width_ms * width_ms];
    bucket.add(value);
    if (n > 0 && past_.is_counter(series)) bucket.increase += value - past_.stored(series, points[n - 1].value);
  }
  for (std::int64_t n = first; n < first + window; ++n) {
    const Bucket& is = answer[static_cast<std::size_t>(n)];
    const BucketCount& wanted = expected[is.start_ms];
    ++compared_;
    const bool right = is.count == wanted.count && same_bits(is.min, wanted.min) && same_bits(is.max, wanted.max) &&
                       same_bits(is.last, wanted.last) &&
                       std::fabs(is.increase - wanted.increase) <= 1e-9 * wanted.last + 1e-6;
    if (right) continue;
    verdict_.violation(fmt::format("{}: the bucket at {} is {} {} {} {} +{}, not {} {} {} {} +{}", where, is.start_ms,
                                   is.min, is.max, is.last, is.count, is.increase, wanted.min, wanted.max, wanted.last,
                                   wanted.count, wanted.increase));
    return;
  }
}

void Inquiry::conclude() {
  for (const Question& question : questions) {
    const Times& times = times_[question.name];
    Verdict::say(
        fmt::format("  {}: {} times, median {:.1f} ms, worst {:.1f} ms; of CPU median {:.1f} ms, worst {:.1f} ms; "
                    "up to {} answers",
                    question.name, times.wall_ms.count(), times.wall_ms.median(), times.wall_ms.worst(),
                    times.cpu_ms.median(), times.cpu_ms.worst(), times.answers_most));
    // Judges CPU time, not wall time, because the host may be busy with other processes.
    const double parts = std::max(1.0, static_cast<double>(times.answers_most) / static_cast<double>(answers_shown));
    verdict_.expect(times.cpu_ms.median() <= answer_ms_max * parts,
                    fmt::format("{}: more than {} ms for {} answers", question.name, answer_ms_max, answers_shown));
  }
}

}  // namespace perjoule
