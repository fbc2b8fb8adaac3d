#include "tests/soak/churn.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "storage/history/history_reader.hpp"
#include "tests/bench/telemetry.hpp"
#include "tests/fakes/disk.hpp"
#include "tests/soak/keeper.hpp"

namespace perjoule {

namespace {

constexpr std::int64_t minute_ms = 60'000;
constexpr std::int64_t hour_ms = 60 * minute_ms;
constexpr std::int64_t period_ms = 5000;  // a tick for each commit
constexpr std::int64_t group_series = 20;
constexpr std::int64_t live_groups = 50;
constexpr Policy policy{2 * hour_ms, 4 * hour_ms, 8 * hour_ms, std::int64_t{256} << 20};
constexpr const char* metric = "perjoule_sensor_power_watts";

std::uint64_t mixed(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15U;
  value = (value ^ (value >> 30U)) * 0xbf58476d1ce4e5b9U;
  value = (value ^ (value >> 27U)) * 0x94d049bb133111ebU;
  return value ^ (value >> 31U);
}

struct Life {
  std::int64_t begin_ms = 0;
  std::int64_t end_ms = 0;
};

class Churn {
 public:
  Churn(std::int64_t series, std::int64_t restart_hours, Verdict& verdict)
      : groups_max_(series / group_series),
        restart_ms_(restart_hours * hour_ms),
        verdict_(verdict),
        keeper_(disk_ / "history.db", policy, verdict, [this] { return disk_.bytes(); }) {}

  void run();

 private:
  struct Live {
    std::int64_t group = -1;
    std::uint32_t number = 0;  // of this process
  };
  [[nodiscard]] storage::Frame next_frame();
  void describe(storage::Frame& frame, Live& live);
  void restart();
  void look();
  void check_values();
  void conclude();
  [[nodiscard]] static double value(std::int64_t group, std::int64_t column, std::int64_t stamp_ms) {
    const auto at = static_cast<std::uint64_t>(stamp_ms / period_ms);
    const auto series = static_cast<std::uint64_t>(group * group_series + column);
    return 100 + static_cast<double>(column) + static_cast<double>(mixed(at * 1'000'003 + series) % 500) / 10;
  }
  [[nodiscard]] std::int64_t groups_since(std::int64_t stamp_ms) const {
    return std::count_if(lives_.begin(), lives_.end(), [&](const Life& life) { return life.end_ms >= stamp_ms; });
  }

  std::int64_t groups_max_;
  std::int64_t restart_ms_;
  Verdict& verdict_;
  fakes::Disk disk_;
  Keeper keeper_;
  std::vector<Live> live_ = std::vector<Live>(live_groups);
  std::vector<Life> lives_;  // by group
  std::uint32_t next_number_ = 0;
  std::int64_t now_ms_ = bench::telemetry_start_ms;
  std::int64_t appended_ = 0;
  std::int64_t groups_most_ = 0;
  std::int64_t series_most_ = 0;
  std::int64_t compared_ = 0;
  Spread rss_mib_;  // each hour
  std::mt19937_64 random_{11};
};

void Churn::describe(storage::Frame& frame, Live& live) {
  live.number = next_number_++;
  frame.groups.push_back({storage::GroupId{live.number}, "soak", fmt::format("job_{}", live.group), period_ms});
  for (std::int64_t column = 0; column < group_series; ++column) {
    const auto id = static_cast<SeriesId>(live.number * group_series + column);
    frame.series.push_back(
        {id, metric, fmt::format("job=\"{}\",sensor=\"{}\"", live.group, column), Unit::watt, Kind::gauge, 0});
  }
}

storage::Frame Churn::next_frame() {
  storage::Frame frame;
  now_ms_ += period_ms;
  for (Live& live : live_) {
    const bool ended = live.group >= 0 && lives_[static_cast<std::size_t>(live.group)].end_ms <= now_ms_;
    if (live.group < 0 || ended) {
      live.group = static_cast<std::int64_t>(lives_.size());
      const auto minutes = 15 + static_cast<std::int64_t>(mixed(lives_.size()) % 16);
      lives_.push_back({now_ms_, now_ms_ + minutes * minute_ms});
      live.number = UINT32_MAX;
    }
    if (live.number == UINT32_MAX) describe(frame, live);
    storage::Tick tick{storage::GroupId{live.number}, now_ms_, {}};
    for (std::int64_t column = 0; column < group_series; ++column) {
      tick.samples.push_back(
          {static_cast<SeriesId>(live.number * group_series + column), value(live.group, column, now_ms_)});
    }
    appended_ += group_series;
    frame.ticks.push_back(std::move(tick));
  }
  return frame;
}

// Restarts the process: numbers are assigned again, only to series that live.
void Churn::restart() {
  keeper_.close();
  keeper_.open(now_ms_);
  next_number_ = 0;
  for (Live& live : live_)
    live.number = UINT32_MAX;
}

void Churn::look() {
  storage::Connection connection = need(storage::open_history(keeper_.path()));
  const std::int64_t groups = need(connection.integer("SELECT count(*) FROM grp"));
  const std::int64_t series = need(connection.integer("SELECT count(*) FROM series"));
  groups_most_ = std::max(groups_most_, groups);
  series_most_ = std::max(series_most_, series);
  rss_mib_.add(status_mib("VmRSS:"));
  // Allowed beyond retention: what this process has described, and data up to two hours older, because slots and hours
  // expire as a whole and after they were sealed.
  const std::int64_t margin_ms = restart_ms_ + 2 * hour_ms;
  const std::int64_t groups_allowed = groups_since(now_ms_ - policy.minute_ms - margin_ms);
  const std::int64_t series_allowed = group_series * groups_since(now_ms_ - policy.hour_ms - margin_ms);
  verdict_.expect(groups <= groups_allowed, fmt::format("{} grp rows, at most {} allowed", groups, groups_allowed));
  verdict_.expect(series <= series_allowed, fmt::format("{} series rows, at most {} allowed", series, series_allowed));
  const std::int64_t hours = (now_ms_ - bench::telemetry_start_ms) / hour_ms;
  if (hours % 10 != 0) return;
  const std::size_t count = keeper_.commits_cpu_ms.count();
  Verdict::say(
      fmt::format("churn {} h: {} series came, {} series and {} grp rows, {:.1f} MiB on the disk, tail {} rows, "
                  "commit median {:.2f} ms, RSS {:.0f} MiB",
                  hours, lives_.size() * group_series, series, groups, mib(keeper_.bytes()), keeper_.size().tail_rows,
                  keeper_.commits_cpu_ms.median(count - 720), status_mib("VmRSS:")));
  check_values();
}

// Compares all samples of a random group of the last hour, whether it has ended or not, bit for bit.
void Churn::check_values() {
  storage::Connection connection = need(storage::open_history(keeper_.path()));
  storage::HistoryReader reader(connection);
  const auto group = static_cast<std::int64_t>(lives_.size() - 1 - random_() % live_groups);
  const Life life = lives_[static_cast<std::size_t>(group)];
  const std::string labels = fmt::format("job=\"{}\",sensor=\"7\"", group);
  std::vector<std::int64_t> ids;
  for (const auto& each : need(reader.series(metric))) {
    if (each.description.labels == labels) ids.push_back(each.id);
  }
  verdict_.expect(ids.size() == 1, fmt::format("{} has {} series rows, expected 1", labels, ids.size()));
  const auto points = need(reader.raw(ids, {}, SIZE_MAX)).at(0);
  std::size_t at = 0;
  for (std::int64_t stamp_ms = life.begin_ms; stamp_ms < std::min(life.end_ms, now_ms_ + 1); stamp_ms += period_ms) {
    ++compared_;
    const bool right =
        at < points.size() && points[at].wall_ms == stamp_ms && points[at].value == value(group, 7, stamp_ms);
    if (!right) return verdict_.violation(fmt::format("{}: the point at {} is wrong or missing", labels, stamp_ms));
    ++at;
  }
  verdict_.expect(at == points.size(), labels + " has points that were never offered");
}

void Churn::conclude() {
  const Keeper::Counts counts = keeper_.counts();
  verdict_.expect(counts.kept + counts.expired + counts.refused == appended_,
                  fmt::format("of {} samples {} were kept, {} expired, {} refused", appended_, counts.kept,
                              counts.expired, counts.refused));
  const std::size_t count = keeper_.commits_cpu_ms.count();
  const double early_ms = keeper_.commits_cpu_ms.median(count / 5, count * 2 / 5);
  const double late_ms = keeper_.commits_cpu_ms.median(count * 4 / 5);
  const double early_mib = rss_mib_.median(rss_mib_.count() / 5, rss_mib_.count() * 2 / 5);
  const double late_mib = rss_mib_.median(rss_mib_.count() * 4 / 5);
  verdict_.expect(late_ms <= early_ms * 1.3, fmt::format("a commit took {:.2f} ms, then {:.2f}", early_ms, late_ms));
  verdict_.expect(late_mib <= early_mib * 1.1 + 8, fmt::format("RSS {:.0f} MiB, then {:.0f}", early_mib, late_mib));
  keeper_.close();
  const std::string integrity = keeper_.integrity();
  verdict_.expect(integrity == "ok", "integrity_check: " + integrity);
  const auto each = [&](double sum_ms) { return sum_ms / static_cast<double>(count); };
  Verdict::say(fmt::format("  a commit: append {:.3f} ms, seal {:.3f}, retain {:.3f}, size {:.3f}",
                           each(keeper_.append_cpu_ms), each(keeper_.seal_cpu_ms), each(keeper_.retain_cpu_ms),
                           each(keeper_.size_cpu_ms)));
  Verdict::say(fmt::format(
      "churn: {} series, {} samples in {} h; at most {} series and {} grp rows; commit median {:.2f} ms in the second "
      "fifth, {:.2f} ms in the last, longest {:.0f} ms of CPU; RSS {:.0f} MiB, then {:.0f}, at most {:.0f}; {} points "
      "compared; peak {:.1f} MiB on the disk; integrity {}",
      lives_.size() * group_series, appended_, (now_ms_ - bench::telemetry_start_ms) / hour_ms, series_most_,
      groups_most_, early_ms, late_ms, keeper_.commits_cpu_ms.worst(), early_mib, late_mib, status_mib("VmHWM:"),
      compared_, mib(disk_.bytes_peak()), integrity));
}

void Churn::run() {
  keeper_.open(now_ms_);
  std::int64_t look_ms = now_ms_ + hour_ms;
  std::int64_t restarted_ms = now_ms_;
  while (static_cast<std::int64_t>(lives_.size()) < groups_max_) {
    keeper_.commit(next_frame());
    if (restart_ms_ > 0 && now_ms_ - restarted_ms >= restart_ms_) {
      restart();
      restarted_ms = now_ms_;
    }
    if (now_ms_ < look_ms) continue;
    look();
    look_ms += hour_ms;
  }
  conclude();
}

}  // namespace

void churn(std::int64_t series, std::int64_t restart_hours, Verdict& verdict) {
  Churn(series, restart_hours, verdict).run();
}

}  // namespace perjoule
