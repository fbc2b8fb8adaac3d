// alert_simulation [--seeds=N] [--first=S]: random rules over series that move around their thresholds, disappear and
// return, with reloads and restarts in between. An oracle keeps the whole history and checks each transition against
// its definition:
//
//   firing     raised at every step for `for`
//   resolved   on the clear side, or a guard false, at every step for `clear_for`
//   lost       no data at every step for `hold`
//   none       across a restart and a reload of the same rules
//
// Prints the failing seed; `--seeds=1 --first=S` repeats it.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/alerts/evaluate/evaluator.hpp"
#include "daemon/alerts/evaluate/memory.hpp"

namespace perjoule::alerts {
namespace {

constexpr std::int64_t step_ms = 1'000;
constexpr int steps = 1'500;
constexpr int series_count = 4;

struct Seen {
  std::optional<double> value;
  std::optional<double> guard;
};

struct Counts {
  std::uint64_t fired = 0, resolved = 0, lost = 0, dropped = 0, restarts = 0, reloads = 0, gaps = 0;
};

class World {
 public:
  World(std::uint64_t seed, Counts& counts) : random_(seed), counts_(counts), history_(series_count) {}

  std::vector<std::string> play() {
    make_rule();
    Evaluator evaluator = started();
    for (int step = 0; step < steps; ++step) {
      wander();
      if (pick(200) == 0) evaluator = restarted(evaluator);
      if (pick(200) == 0) {
        ++counts_.reloads;
        none(evaluator.set_rules({rule_}, now()), "a reload");
      }
      feed(evaluator);
      for (const Transition& transition : evaluator.evaluate(now()))
        judge(transition);
      now_ms_ += step_ms;
    }
    return violations_;
  }

 private:
  int pick(int below) { return static_cast<int>(random_() % static_cast<std::uint64_t>(below)); }
  [[nodiscard]] Moment now() const { return {now_ms_, 1'700'000'000'000 + now_ms_}; }
  static std::string labels(int series) { return fmt::format("gpu=\"{}\",uuid=\"u\"", series); }

  void make_rule() {
    rule_.name = "Simulated";
    rule_.expression.value = {
        "perjoule_gpu_power_watts", {"gpu", "uuid"}, {}, Function::last, 0, Aggregation::none, {}};
    const Term guard{"perjoule_gpu_deep_idle_watts", {"gpu", "uuid"}, {}, Function::last, 0, Aggregation::none, {}};
    rule_.when.push_back({{guard, std::nullopt, std::nullopt}, true, 0});
    rule_.hold_ms = 1'000 * (20 + pick(40));
    for (const char* severity : {"warning", "critical"}) {
      Level level;
      level.severity = severity;
      level.above = pick(2) == 0;
      level.raise = 100 + pick(20);
      if (pick(4) != 0) level.clear = level.raise + (level.above ? -1 : 1) * (1 + pick(20));
      level.for_ms = 1'000 * pick(10);
      level.clear_for_ms = 1'000 * pick(10);
      rule_.levels.push_back(level);
    }
  }

  // Slow steps around the thresholds, so that the values are often between raise and clear.
  void wander() {
    for (std::vector<Seen>& series : history_) {
      Seen next = series.empty() ? Seen{110.0, 1.0} : series.back();
      if (!next.value && pick(25) == 0) next.value = 110;
      if (next.value) *next.value += pick(7) - 3 + (110 - *next.value) * 0.02;
      if (next.guard && pick(60) == 0) next.guard = 1 - *next.guard;
      if (!next.guard && pick(15) == 0) next.guard = 1;
      if (pick(250) == 0) {
        next.value.reset();
        ++counts_.gaps;
      }
      if (pick(400) == 0) next.guard.reset();
      series.push_back(next);
    }
  }

  Evaluator started() {
    Evaluator evaluator;
    none(evaluator.set_rules({rule_}, now()), "the start");
    return evaluator;
  }

  // Restores the state from the strings saved in the ledger.
  Evaluator restarted(const Evaluator&) {
    ++counts_.restarts;
    restarted_ms_ = now_ms_;
    Evaluator evaluator = started();
    for (const auto& [key, text] : ledger_) {
      const std::optional<Remembered> remembered = remember(key, text);
      if (!remembered || evaluator.restore(*remembered, now())) violate("a restart forgot " + key);
    }
    return evaluator;
  }

  void feed(Evaluator& evaluator) {
    for (int series = 0; series < series_count; ++series) {
      const Seen& seen = history_[static_cast<std::size_t>(series)].back();
      const Labels parsed = *parse_labels(labels(series));
      observe(evaluator, "perjoule_gpu_power_watts", parsed, seen.value);
      observe(evaluator, "perjoule_gpu_deep_idle_watts", parsed, seen.guard);
    }
  }
  void observe(Evaluator& evaluator, std::string_view metric, const Labels& parsed, std::optional<double> value) const {
    for (const Evaluator::Place& place : evaluator.adopt(metric, parsed))
      evaluator.observe(place, {now_ms_, value.value_or(0), value.has_value()}, now_ms_);
  }

  void violate(const std::string& what) { violations_.push_back(fmt::format("{} s: {}", now_ms_ / 1000, what)); }
  void none(const std::vector<Transition>& transitions, const char* when) {
    if (!transitions.empty()) violate(fmt::format("{} moved an alert", when));
  }

  // Whether `holds` was true at every step of the last `span_ms`, this one included.
  template <class Holds>
  bool throughout(int series, std::int64_t span_ms, const Holds& holds) const {
    const std::vector<Seen>& history = history_[static_cast<std::size_t>(series)];
    const auto count = std::min(static_cast<std::size_t>(span_ms / step_ms) + 1, history.size());
    return std::all_of(history.end() - static_cast<std::ptrdiff_t>(count), history.end(), holds);
  }

  void judge(const Transition& transition) {
    const Alert& alert = transition.alert;
    const Level& level = alert.severity == "warning" ? rule_.levels[0] : rule_.levels[1];
    const int series = std::stoi(alert.labels.front().second);
    const auto beyond = [&level](double value, double threshold) {
      return level.above ? value > threshold : value < threshold;
    };
    const auto raised = [&](const Seen& seen) {
      return seen.value && seen.guard && *seen.guard > 0 && beyond(*seen.value, level.raise);
    };
    const auto cleared = [&](const Seen& seen) {
      if (!seen.value || !seen.guard) return false;
      if (*seen.guard <= 0) return true;
      return level.clear ? !beyond(*seen.value, *level.clear) && *seen.value != *level.clear
                         : !beyond(*seen.value, level.raise);
    };
    const auto unknown = [](const Seen& seen) { return !seen.value || !seen.guard; };
    // After a restart a pending alert waits a minute for its first data.
    const auto waits = [&](const Seen& seen) { return unknown(seen) && now_ms_ - restarted_ms_ < 70'000; };
    const std::string key = memory_key(alert);
    const bool fired = ledger_.contains(key) && ledger_[key].starts_with("firing");
    switch (transition.change) {
      case Change::firing:
        ++counts_.fired;
        if (fired) violate(key + " fires twice");
        if (!throughout(series, level.for_ms, [&](const Seen& seen) { return raised(seen) || waits(seen); }))
          violate(key + " fires too early");
        break;
      case Change::resolved:
        ++counts_.resolved;
        if (!fired) violate(key + " resolves without having fired");
        if (!throughout(series, level.clear_for_ms, cleared)) violate(key + " resolves inside its band");
        break;
      case Change::lost:
        ++counts_.lost;
        if (!throughout(series, rule_.hold_ms, unknown)) violate(key + " is lost too early");
        break;
      default:
        counts_.dropped += transition.change == Change::dropped ? 1U : 0U;
        break;
    }
    if (transition.change == Change::pending || transition.change == Change::firing) {
      ledger_[key] = memory_text(transition);
    } else {
      ledger_.erase(key);
    }
  }

  std::mt19937_64 random_;
  Counts& counts_;
  Rule rule_;
  std::vector<std::vector<Seen>> history_;
  std::map<std::string, std::string> ledger_;
  std::vector<std::string> violations_;
  std::int64_t now_ms_ = 1'000'000;
  std::int64_t restarted_ms_ = 0;
};

std::uint64_t argument(int argc, char** argv, std::string_view name, std::uint64_t fallback) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view text(argv[i]);
    if (text.starts_with(name)) return std::strtoull(text.substr(name.size()).data(), nullptr, 10);
  }
  return fallback;
}

}  // namespace
}  // namespace perjoule::alerts

int main(int argc, char** argv) {
  using namespace perjoule::alerts;
  const std::uint64_t seeds = argument(argc, argv, "--seeds=", 100);
  const std::uint64_t first = argument(argc, argv, "--first=", 1);
  Counts counts;
  std::uint64_t failed = 0;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    const std::vector<std::string> violations = World(seed, counts).play();
    failed += violations.empty() ? 0U : 1U;
    for (const std::string& violation : violations)
      fmt::print("  seed {}: {}\n", seed, violation);
  }
  fmt::print("fired {}, resolved {}, lost {}, dropped {}, restarts {}, reloads {}, gaps {}\n", counts.fired,
             counts.resolved, counts.lost, counts.dropped, counts.restarts, counts.reloads, counts.gaps);
  const bool complete = counts.fired > 0 && counts.resolved > 0 && counts.lost > 0 && counts.dropped > 0 &&
                        counts.restarts > 0 && counts.reloads > 0 && counts.gaps > 0;
  if (!complete) fmt::print("an event never happened\n");
  fmt::print("{} seeds passed, {} failed\n", seeds - failed, failed);
  return failed == 0 && complete ? 0 : 1;
}
