// Connects the notifier to the rest of the daemon: HTTP client, ledger (saved incidents), log, and the counters of
// /metrics (record/alert_metrics.hpp).
//
// Loop's thread only. Destruction need not wait: POSTs in flight are abandoned, and the ledger has what is undelivered.
#pragma once

#include <boost/asio/io_context.hpp>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"
#include "daemon/alerts/notify/notifier.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/http/client.hpp"
#include "daemon/record/latest.hpp"
#include "daemon/record/ledger.hpp"
#include "daemon/record/series.hpp"

namespace perjoule::alerts {

class Dispatch {
 public:
  // The references must outlive the dispatch.
  struct Parts {
    asio::io_context& loop;
    Clock& clock;
    Latest& latest;
    SeriesTable& series;
    Ledger& ledger;
    const Log& log;
    MakeLane make_lane;
    std::string version;  // of the daemon
    std::string address;  // on which the daemon listens, "127.0.0.1:10190"
  };
  explicit Dispatch(Parts parts);

  // Call at the start and at each reload. `external_url`: config::Web.
  void configure(const config::Alerts& settings, std::string_view external_url);
  void notify(const Alert& alert) { notifier_.notify(alert); }
  // Call once at the start, when the rules are in force (Notifier::reconcile).
  void reconcile(std::span<const Alert> firing) { notifier_.reconcile(firing); }
  // Publishes the counters on /metrics; call once a second.
  void show();

 private:
  void prepare(std::string_view kind, std::span<const config::Receiver> receivers);
  void show_client(std::vector<Sample>& samples);
  void report(const ReceiverStats& receiver, Notifier::Change change, const Error& error) const;

  Parts parts_;
  http::Client client_;
  Notifier notifier_;
  std::vector<SeriesId> shown_;
};

// `text` with {hostname} and {port} replaced.
[[nodiscard]] std::string filled_in(std::string text, std::string_view hostname, std::string_view port);

}  // namespace perjoule::alerts
