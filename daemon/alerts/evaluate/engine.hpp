// The alert rules at work: reads the newest samples, evaluates the rules, keeps what is pending or firing in the
// ledger, shows perjoule_alerts, writes one line of log per transition and hands each to the notifier.
//
// Loop's thread only. An evaluation reads what a scrape would show at that moment, the daemon's own instruments too.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/alerts/evaluate/evaluator.hpp"
#include "daemon/alerts/evaluate/report.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/record/latest.hpp"
#include "daemon/record/ledger.hpp"
#include "daemon/record/series.hpp"
#include "daemon/self/instruments.hpp"

namespace perjoule::alerts {

class Engine {
 public:
  // Called at each transition to firing and to resolved.
  using OnAlert = std::function<void(const Alert&)>;
  // They outlive the engine.
  struct Parts {
    Clock& clock;
    Latest& latest;
    SeriesTable& series;
    const Instruments& instruments;
    Ledger& ledger;
    const Log& log;
  };
  Engine(const Parts& parts, OnAlert on_alert);

  // The rules from now on. The first call brings back what the ledger remembers; alerts of rules that are gone or
  // changed are resolved.
  void set_rules(std::vector<Rule> rules);

  // Evaluates once a second, and soon after each wake(): samples that come within a few milliseconds of each other are
  // evaluated together. Never returns.
  asio::awaitable<void> run();
  void wake() { alarm_->wake(); }
  void evaluate();

  [[nodiscard]] std::vector<Alert> firing() const { return evaluator_.firing(); }
  // Its rules stand until the next set_rules().
  [[nodiscard]] Report report() const;

 private:
  void adopt();
  void observe(const Stamp& now);
  void take(const Transition& transition);
  void log(const Transition& transition) const;
  void restore(const Moment& now);
  void show(const Stamp& now);

  Parts parts_;
  OnAlert on_alert_;
  std::unique_ptr<Alarm> alarm_;
  Evaluator evaluator_;
  bool started_ = false;
  std::int64_t evaluated_ms_ = 0;   // wall clock
  std::int64_t evaluation_ns_ = 0;  // what it took
  std::uint64_t unreadable_ = 0;

  std::size_t adopted_ = 0;                            // series of the table that the rules have seen
  std::vector<SeriesId> watched_;                      // those that some rule reads
  std::vector<std::vector<Evaluator::Place>> places_;  // of each of them
  std::vector<Latest::Newest> newest_;                 // of each of them
  std::unordered_map<std::string, std::vector<Evaluator::Place>> own_places_;  // of the instruments, by name and labels
  std::int64_t own_ns_ = 0;                                                    // when they were read last
  std::vector<SeriesId> shown_;
  Overflow shown_overflow_;
};

}  // namespace perjoule::alerts
