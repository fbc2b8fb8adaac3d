#include "daemon/alerts/evaluate/engine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <utility>

#include "daemon/alerts/choice.hpp"
#include "daemon/alerts/evaluate/memory.hpp"
#include "daemon/record/alert_metrics.hpp"

namespace perjoule::alerts {

namespace {

constexpr std::int64_t gather_ns = 20 * nanoseconds_per_millisecond;  // from wake() to the evaluation
constexpr std::int64_t own_period_ns = nanoseconds_per_second;        // between two reads of the instruments
constexpr std::int64_t forget_period_ns = 60 * nanoseconds_per_second;

// These are read from the instruments themselves (observe()); the table has them for the history only.
bool is_instrument(const Metric& metric) {
  const auto instruments = Instruments::metrics();
  return std::find(instruments.begin(), instruments.end(), &metric) != instruments.end();
}

Moment moment(const Stamp& stamp) {
  return {stamp.steady_ns / nanoseconds_per_millisecond, stamp.wall_ms};
}

}  // namespace

Engine::Engine(const Parts& parts, OnChange on_change)
    : parts_(parts), on_change_(std::move(on_change)), alarm_(parts.clock.alarm()) {}

void Engine::set_rules(std::vector<Rule> rules) {
  const Stamp now = parts_.clock.now();
  for (const Transition& transition : evaluator_.set_rules(std::move(rules), moment(now)))
    apply(transition);
  if (!std::exchange(started_, true)) restore(moment(now));
  gone_.clear();
  adopt_again();
  parts_.recorder.hide_own(shown_);
  shown_.clear();
  show(now);
  if (on_change_) on_change_(std::exchange(changed_, {}));
}

void Engine::restore(const Moment& now) {
  for (const auto& [key, text] : parts_.ledger.states(memory_prefix)) {
    const std::optional<Remembered> remembered = remember(key, text);
    if (!remembered) {
      ++unreadable_;
      parts_.log.warn("a saved alert in the ledger cannot be read; it is dropped", {{"key", key}});
      parts_.ledger.set_state(key, "");
      continue;
    }
    if (const std::optional<Transition> ended = evaluator_.restore(*remembered, now)) apply(*ended);
  }
}

void Engine::adopt() {
  const SeriesTable& series = parts_.recorder.series();
  for (const SeriesId id : series.since(adopted_)) {
    const SeriesTable::Series& added = series[id];
    if (!evaluator_.reads(added.metric->name) || is_instrument(*added.metric)) continue;
    const std::optional<Labels> labels = parse_labels(added.labels);
    std::vector<Evaluator::Place> places;
    if (labels) places = evaluator_.adopt(added.metric->name, *labels);
    if (places.empty()) continue;
    watched_.push_back(id);
    places_.push_back(std::move(places));
  }
  adopted_ = series.next();
}

// A series that was not used for an hour has been dropped; if it comes back, it is adopted with its new id.
void Engine::drop_forgotten() {
  std::size_t kept = 0;
  for (std::size_t i = 0; i < watched_.size(); ++i) {
    if (newest_[i].forgotten) {
      gone_.insert(gone_.end(), places_[i].begin(), places_[i].end());
      continue;
    }
    watched_[kept] = watched_[i];
    newest_[kept] = newest_[i];
    if (kept != i) places_[kept] = std::move(places_[i]);
    ++kept;
  }
  watched_.resize(kept);
  newest_.resize(kept);
  places_.resize(kept);
}

// A series that came back with another id has its place again; that one is not given up. All that are left are adopted
// again, because one that was above a limit may have room now.
void Engine::forget(const Stamp& now) {
  if (gone_.empty() || now.steady_ns - forgot_ns_ < forget_period_ns) return;
  forgot_ns_ = now.steady_ns;
  std::set<std::pair<std::uint32_t, std::uint32_t>> used;
  for (const auto& places : places_) {
    for (const Evaluator::Place& place : places)
      used.emplace(place.term, place.member);
  }
  std::erase_if(gone_, [&](const auto& place) { return used.contains({place.term, place.member}); });
  evaluator_.forget(gone_);
  gone_.clear();
  adopt_again();
}

void Engine::adopt_again() {
  adopted_ = SeriesId{};
  watched_.clear();
  places_.clear();
  own_places_.clear();
}

void Engine::observe(const Stamp& now) {
  const std::int64_t now_ms = now.steady_ns / nanoseconds_per_millisecond;
  parts_.latest.newest(watched_, now.steady_ns, newest_);
  drop_forgotten();
  for (std::size_t i = 0; i < watched_.size(); ++i) {
    const Latest::Newest& newest = newest_[i];
    const Observation observation{newest.steady_ns / nanoseconds_per_millisecond, newest.value, newest.fresh,
                                  newest.read_ns / nanoseconds_per_millisecond};
    for (const Evaluator::Place& place : places_[i])
      evaluator_.observe(place, observation, now_ms);
  }
  if (now.steady_ns - own_ns_ < own_period_ns) return;
  own_ns_ = now.steady_ns;
  parts_.instruments.visit([&](const Metric& metric, std::string_view label_set, double value) {
    std::string key(metric.name);
    key += label_set;
    const auto [found, fresh] = own_places_.try_emplace(std::move(key));
    if (fresh) {
      if (const auto labels = parse_labels(label_set)) found->second = evaluator_.adopt(metric.name, *labels);
    }
    for (const Evaluator::Place& place : found->second)
      evaluator_.observe(place, {now_ms, value, true}, now_ms);
  });
}

// A rule may count alerts (perjoule_alerting_gpus, perjoule_alerts). So that its alert is known when it is decided
// which ones are sent, the rules are evaluated a second time after a change.
void Engine::evaluate() {
  const Stamp now = parts_.clock.now();
  constexpr int passes = 2;
  bool moved = true;
  forget(now);
  for (int pass = 0; pass < passes && moved; ++pass) {
    adopt();
    observe(now);
    const std::vector<Transition> transitions = evaluator_.evaluate(moment(now));
    for (const Transition& transition : transitions)
      apply(transition);
    moved = !transitions.empty();
    if (moved || evaluator_.overflow() != shown_overflow_) show(now);
  }
  if (!changed_.empty() && on_change_) on_change_(std::exchange(changed_, {}));
  evaluated_ms_ = now.wall_ms;
  evaluation_ns_ = parts_.clock.now().steady_ns - now.steady_ns;
}

Report Engine::report() const {
  return {evaluator_.rules(), evaluator_.active(), evaluated_ms_,
          static_cast<double>(evaluation_ns_) / static_cast<double>(nanoseconds_per_second)};
}

void Engine::apply(const Transition& transition) {
  const bool over = transition.change != Change::pending && transition.change != Change::firing;
  parts_.ledger.set_state(memory_key(transition.alert), over ? "" : memory_text(transition));
  log(transition);
  if (transition.alert.phase != Phase::pending) changed_.push_back(transition.alert);
}

config::LogLevel level_of(const Alert& alert) {
  constexpr std::array levels = {config::LogLevel::info, config::LogLevel::warn, config::LogLevel::error};
  return levels[static_cast<std::size_t>(severity_rank(alert.severity))];
}

void Engine::log(const Transition& transition) const {
  const Alert& alert = transition.alert;
  const std::string labels = label_text(alert.labels);
  const std::string value = fmt::format("{:.6g}", alert.value);
  switch (transition.change) {
    case Change::firing:
      return parts_.log.write(level_of(alert), "alert firing",
                              {{"alert", alert.name},
                               {"severity", alert.severity},
                               {"labels", labels},
                               {"value", value},
                               {"summary", alert.summary},
                               {"runbook", alert.runbook}});
    case Change::resolved:
    case Change::lost: {
      const std::string lasted = fmt::format("{} s", (alert.ends_ms - alert.starts_ms) / 1000);
      return parts_.log.info("alert resolved", {{"alert", alert.name},
                                                {"severity", alert.severity},
                                                {"labels", labels},
                                                {"value", value},
                                                {"lasted", lasted},
                                                {"reason", alert.reason}});
    }
    case Change::pending:
    case Change::dropped:
      return parts_.log.debug(transition.change == Change::pending ? "alert pending" : "alert no longer pending",
                              {{"alert", alert.name}, {"severity", alert.severity}, {"labels", labels}});
    case Change::none:
      return;
  }
}

void Engine::show(const Stamp& now) {
  std::vector<Sample> samples;
  const auto add = [&](const Metric& metric, std::initializer_list<std::string_view> labels, double value) {
    if (const auto id = parts_.recorder.series().identify(metric, label_values(labels)))
      samples.push_back({*id, value});
  };
  for (const LevelCount& count : evaluator_.counts()) {
    const std::string_view severity = count.level->severity;
    add(alert_count, {count.rule->name, severity, "pending"}, static_cast<double>(count.pending));
    add(alert_count, {count.rule->name, severity, "firing"}, static_cast<double>(count.firing));
  }
  const Overflow overflow = shown_overflow_ = evaluator_.overflow();
  add(alert_overflows, {"series"}, static_cast<double>(overflow.series));
  add(alert_overflows, {"alerts"}, static_cast<double>(overflow.alerts));
  add(alert_overflows, {"partners"}, static_cast<double>(overflow.partners));
  add(alert_overflows, {"unreadable"}, static_cast<double>(unreadable_));
  show_causes(samples);
  parts_.recorder.show_own(samples, now);
  shown_.clear();
  for (const Sample& sample : samples)
    shown_.push_back(sample.series);
}

void Engine::show_causes(std::vector<Sample>& samples) {
  std::map<std::string, std::map<std::string, int>> worst;  // by cause and GPU: the rank of its gravest alert
  for (const Rule& rule : evaluator_.rules()) {
    if (!rule.cause.empty()) worst[rule.cause];
  }
  for (const Alert& alert : evaluator_.firing()) {
    const Subject of = subject(alert);
    if (alert.cause.empty() || !of.is_gpu) continue;
    int& rank = worst[alert.cause][of.name];
    rank = std::max(rank, severity_rank(alert.severity));
  }
  for (const auto& [cause, gpus] : worst) {
    for (const std::string_view severity : {"info", "warning", "critical"}) {
      const auto at_least = [least = severity_rank(severity)](const auto& gpu) { return gpu.second >= least; };
      const auto number = static_cast<double>(std::count_if(gpus.begin(), gpus.end(), at_least));
      const auto id = parts_.recorder.series().identify(alerting_gpus, label_values({cause, severity}));
      if (id) samples.push_back({*id, number});
    }
  }
}

asio::awaitable<void> Engine::run() {
  for (;;) {
    const std::int64_t next_ns = parts_.clock.now().steady_ns + nanoseconds_per_second;
    co_await alarm_->wait_until(next_ns);
    const std::int64_t gathered_ns = parts_.clock.now().steady_ns + gather_ns;
    while (parts_.clock.now().steady_ns < gathered_ns)
      co_await alarm_->wait_until(gathered_ns);
    evaluate();
  }
}

}  // namespace perjoule::alerts
