// Runs the alert rules: reads the newest samples, evaluates the rules, saves pending and firing alerts in the ledger,
// publishes perjoule_alerts, logs every transition and passes firing and resolved alerts to the notifier.
//
// Loop's thread only. An evaluation reads the same values that a scrape would show at that moment, including the
// daemon's own instruments.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/alerts/evaluate/evaluator.hpp"
#include "daemon/alerts/evaluate/report.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/record/latest.hpp"
#include "daemon/record/ledger.hpp"
#include "daemon/record/recorder.hpp"
#include "daemon/self/instruments.hpp"

namespace perjoule::alerts {

class Engine {
 public:
  // Called with the alerts that an evaluation made fire or resolved, and at each set_rules(), then perhaps with none.
  // firing() is up to date then.
  using OnChange = std::function<void(std::span<const Alert> changed)>;
  // All of them must outlive the engine.
  struct Parts {
    Clock& clock;
    Latest& latest;
    Recorder& recorder;
    const Instruments& instruments;
    Ledger& ledger;
    const Log& log;
  };
  Engine(const Parts& parts, OnChange on_change);

  // Replaces the rules. The first call also restores the alerts that the ledger has saved. Alerts of removed or changed
  // rules are resolved.
  void set_rules(std::vector<Rule> rules);

  // Evaluates once a second, and 20 ms after each wake(), so that the samples of probes that finish at about the same
  // time are evaluated together. Never returns.
  asio::awaitable<void> run();
  void wake() { alarm_->wake(); }
  void evaluate();

  [[nodiscard]] std::vector<Alert> firing() const { return evaluator_.firing(); }
  // Its `rules` are a view that is valid until the next set_rules().
  [[nodiscard]] Report report() const;

 private:
  void adopt();
  void observe(const Stamp& now);
  void drop_forgotten();
  void forget(const Stamp& now);
  void adopt_again();
  void apply(const Transition& transition);
  void log(const Transition& transition) const;
  void restore(const Moment& now);
  void show(const Stamp& now);
  void show_causes(std::vector<Sample>& samples);

  Parts parts_;
  OnChange on_change_;
  std::unique_ptr<Alarm> alarm_;
  Evaluator evaluator_;
  std::vector<Alert> changed_;  // not yet passed to on_change_
  bool started_ = false;
  std::int64_t evaluated_ms_ = 0;   // wall clock
  std::int64_t evaluation_ns_ = 0;  // duration of the last evaluation
  std::uint64_t unreadable_ = 0;    // saved alerts that could not be restored

  SeriesId adopted_{};                  // the first series of the table not yet matched to the rules
  std::vector<Evaluator::Place> gone_;  // of series that were dropped, until the next forget()
  std::int64_t forgot_ns_ = 0;
  std::vector<SeriesId> watched_;                      // series that at least one rule reads
  std::vector<std::vector<Evaluator::Place>> places_;  // per watched series
  std::vector<Latest::Newest> newest_;                 // per watched series; kept to avoid an allocation per evaluation
  std::unordered_map<std::string, std::vector<Evaluator::Place>> own_places_;  // of the instruments, by name and labels
  std::int64_t own_ns_ = 0;      // steady clock: last read of the instruments
  std::vector<SeriesId> shown_;  // the series that show() has put into Latest
  Overflow shown_overflow_;
};

// Of the log line about an alert that fires.
[[nodiscard]] config::LogLevel level_of(const Alert& alert);

}  // namespace perjoule::alerts
