// Writes a history.db like the daemon, from an OpenMetrics file: record FILE DIRECTORY
//
// FILE must have a timestamp on each sample, and the samples of a series one after the other; the value NaN is an end
// mark. Each series becomes its own group, because each has its own timestamps; the end marks are in theirs. A commit
// has five seconds of samples; sealing follows each commit.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <fstream>
#include <iostream>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "storage/history/sqlite_store.hpp"

namespace {

using namespace perjoule;

constexpr std::int64_t commit_ms = 5'000;

struct Series {
  storage::SeriesDescription description;
  std::vector<storage::Point> points;
};

// Reads `name{a="b"} ` from the line `name{a="b"} 1.5 12.25`; the labels are returned unparsed.
std::optional<std::pair<std::string, std::string>> read_name(std::string_view& rest) {
  const std::size_t end = rest.find_first_of("{ ");
  if (end == std::string_view::npos) return {};
  std::string name(rest.substr(0, end));
  if (rest[end] == ' ') {
    rest.remove_prefix(end + 1);
    return std::pair(std::move(name), std::string());
  }
  bool quoted = false;
  std::size_t at = end + 1;
  for (; at < rest.size() && (quoted || rest[at] != '}'); ++at) {
    if (rest[at] == '"') quoted = !quoted;
    if (rest[at] == '\\') ++at;
  }
  if (at + 1 >= rest.size()) return {};
  std::string labels(rest.substr(end + 1, at - end - 1));
  rest.remove_prefix(at + 2);
  return std::pair(std::move(name), std::move(labels));
}

std::optional<storage::Point> read_point(std::string_view rest) {
  double value = 0;
  double seconds = 0;
  const char* end = rest.data() + rest.size();
  const auto first = std::from_chars(rest.data(), end, value);
  if (first.ec != std::errc() || first.ptr == end || *first.ptr != ' ') return {};
  const auto second = std::from_chars(first.ptr + 1, end, seconds);
  if (second.ec != std::errc() || second.ptr != end) return {};
  return storage::Point{std::llround(seconds * 1000), value};
}

std::vector<Series> read(std::ifstream& file) {
  std::vector<Series> all;
  std::string line;
  while (std::getline(file, line)) {
    if (line.empty() || line.front() == '#') continue;
    std::string_view rest = line;
    const auto name = read_name(rest);
    const auto point = name ? read_point(rest) : std::nullopt;
    if (!point) {
      std::cerr << "record: expected a sample with a timestamp: " << line << '\n';
      std::exit(1);
    }
    if (all.empty() || all.back().description.metric != name->first || all.back().description.labels != name->second) {
      const Kind kind = name->first.ends_with("_total") ? Kind::counter : Kind::gauge;
      const auto id = static_cast<SeriesId>(all.size());
      all.push_back({{id, name->first, name->second, Unit::none, kind, 0}, {}});
    }
    all.back().points.push_back(*point);
  }
  return all;
}

// The median time from one sample to the next.
std::int64_t period_of(const std::vector<storage::Point>& points) {
  std::vector<std::int64_t> steps;
  for (std::size_t n = 1; n < points.size(); ++n)
    steps.push_back(points[n].wall_ms - points[n - 1].wall_ms);
  if (steps.empty()) return 1000;
  const auto middle = steps.begin() + static_cast<std::ptrdiff_t>(steps.size() / 2);
  std::nth_element(steps.begin(), middle, steps.end());
  return *middle;
}

template <class T>
void need(const Result<T>& result) {
  if (result) return;
  std::cerr << "record: " << result.error().what << '\n';
  std::exit(1);
}

}  // namespace

int main(int count, char** words) {
  std::ifstream file(count == 3 ? words[1] : "");
  if (!file) {
    std::cerr << "usage: record FILE DIRECTORY\n";
    return 2;
  }
  const std::vector<Series> all = read(file);
  std::multimap<std::int64_t, std::pair<std::uint32_t, double>> ticks;
  const auto ends = static_cast<std::uint32_t>(all.size());
  storage::Frame frame;
  for (const Series& series : all) {
    const auto number = static_cast<std::uint32_t>(series.description.id);
    frame.series.push_back(series.description);
    frame.groups.push_back({storage::GroupId{number}, "record", std::to_string(number), period_of(series.points)});
    for (const storage::Point& point : series.points)
      ticks.emplace(point.wall_ms, std::pair(number, point.value));
  }
  if (ticks.empty()) return 1;
  frame.groups.push_back(
      {storage::GroupId{ends}, std::string(storage::ends_source), std::string(storage::ends_device), 1});
  storage::Notes notes;
  auto store = storage::SqliteStore::open(std::string(words[2]) + "/history.db", ticks.begin()->first, notes);
  need(store);
  std::int64_t due_ms = ticks.begin()->first + commit_ms;
  const auto commit = [&] {
    need((*store)->append(frame));
    frame = {};
    need((*store)->seal());
  };
  for (const auto& [timestamp_ms, sample] : ticks) {
    if (timestamp_ms >= due_ms) {
      commit();
      due_ms = timestamp_ms + commit_ms;
    }
    const auto& [number, value] = sample;
    const bool is_end = std::isnan(value);
    const storage::GroupId group{is_end ? ends : number};
    const Sample stored{SeriesId{number}, is_end ? storage::end_mark : value};
    if (!frame.ticks.empty() && frame.ticks.back().group == group && frame.ticks.back().wall_ms == timestamp_ms) {
      frame.ticks.back().samples.push_back(stored);
    } else {
      frame.ticks.push_back({group, timestamp_ms, {stored}});
    }
  }
  commit();
  const auto size = (*store)->size();
  need(size);
  if (size->refused_samples > 0) {
    std::cerr << "record: " << size->refused_samples << " samples were refused\n";
    return 1;
  }
  std::cout << all.size() << " series, " << ticks.size() << " samples, " << size->bytes << " bytes\n";
  return 0;
}
