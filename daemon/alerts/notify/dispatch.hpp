// Decides which alerts are sent (choice.hpp, maintenance.hpp), and connects the notifier to the rest of the daemon:
// HTTP client, ledger (saved incidents), log, and the counters of /metrics (record/alert_metrics.hpp).
//
// During a maintenance no incident is opened and nothing is sent, also no repetition to an Alertmanager, which then
// lets its alerts end after four minutes. Incidents that end meanwhile are closed. Afterwards what still fires is sent,
// and the end of what had been sent before.
//
// Loop's thread only. Destruction need not wait: POSTs in flight are abandoned, and the ledger has what is undelivered.
#pragma once

#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"
#include "daemon/alerts/notify/maintenance_watch.hpp"
#include "daemon/alerts/notify/notifier.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/base/log.hpp"
#include "daemon/http/client.hpp"
#include "daemon/record/ledger.hpp"
#include "daemon/record/recorder.hpp"

namespace perjoule::alerts {

class Dispatch {
 public:
  // The references must outlive the dispatch.
  struct Parts {
    asio::io_context& loop;
    Clock& clock;
    Recorder& recorder;
    Ledger& ledger;
    const Log& log;
    MakeLane make_lane;
    std::string version;                   // of the daemon
    std::string address;                   // on which the daemon listens, "127.0.0.1:10190"
    std::filesystem::path directory = {};  // of the storage, with the file of a maintenance; empty: without storage
  };
  explicit Dispatch(Parts parts);

  // Call at the start and at each reload. `external_url`: config::Web.
  void configure(const config::Alerts& settings, std::string_view external_url);
  // Call once at the start, when the rules are in force: also ends the incidents of the previous run whose alert no
  // longer fires.
  void start(std::vector<Alert> firing);
  // The alerts that fire now, and those that began to or were resolved since the last call (Engine::OnChange).
  void update(std::span<const Alert> changed, std::vector<Alert> firing);
  // Call once a second: looks at the file of a maintenance, and publishes the counters on /metrics.
  void tick();
  [[nodiscard]] std::optional<Maintenance> maintenance() const { return watch_.on(); }

 private:
  void settle();
  [[nodiscard]] std::string reason_of(const Alert& ended) const;
  bool look();
  void show();
  void prepare(std::string_view kind, std::span<const config::Receiver> receivers);
  void show_client(std::vector<Sample>& samples);
  void report(const ReceiverStats& receiver, Notifier::Change change, const Error& error) const;

  Parts parts_;
  http::Client client_;
  Notifier notifier_;
  MaintenanceWatch watch_;
  std::string min_severity_;
  std::vector<Alert> firing_;
  bool started_ = false;
  std::optional<Maintenance> maintenance_;  // as last logged
  std::string refused_;                     // the refusal that was last logged
  std::vector<SeriesId> shown_;
};

// `text` with {hostname} and {port} replaced.
[[nodiscard]] std::string filled_in(std::string text, std::string_view hostname, std::string_view port);

}  // namespace perjoule::alerts
