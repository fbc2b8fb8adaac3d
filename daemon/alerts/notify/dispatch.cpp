#include "daemon/alerts/notify/dispatch.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <utility>

#include "config/text.hpp"
#include "daemon/alerts/choice.hpp"
#include "daemon/alerts/notify/receiver_names.hpp"
#include "daemon/http/client_metrics.hpp"
#include "daemon/record/alert_metrics.hpp"

namespace perjoule::alerts {

namespace {

constexpr std::string_view outbox_prefix = "outbox/";

std::string host_name() {
  std::array<char, 256> name{};
  if (gethostname(name.data(), name.size() - 1) != 0) return "localhost";
  return name.data();
}

}  // namespace

Dispatch::Dispatch(Parts parts)
    : parts_(std::move(parts)),
      client_(parts_.loop, {parts_.make_lane, "perjouled/" + parts_.version}),
      notifier_(
          parts_.loop, parts_.clock, [this](http::Call call) { return client_.fetch(std::move(call)); },
          [this](const std::string& key, const std::string& text) { parts_.ledger.set_state(key, text); },
          [this](const ReceiverStats& receiver, Notifier::Change change, const Error& error) {
            report(receiver, change, error);
          }),
      watch_(parts_.make_lane, parts_.clock,
             parts_.directory.empty() ? std::filesystem::path() : parts_.directory / maintenance_file, [this] {
               if (look()) show();
             }) {
  look();
  const std::map<std::string, std::string> states = parts_.ledger.states(outbox_prefix);
  const std::vector<std::pair<std::string, std::string>> kept(states.begin(), states.end());
  if (const std::size_t forgotten = notifier_.restore(kept); forgotten > 0)
    parts_.log.warn("undelivered alerts of the previous run cannot be restored from the ledger; they are dropped",
                    {{"alerts", std::to_string(forgotten)}});
}

void Dispatch::configure(const config::Alerts& settings, std::string_view external_url) {
  const std::string host = host_name();
  const std::string port = parts_.address.substr(parts_.address.rfind(':') + 1);
  const std::string_view page = external_url.empty() ? "http://{hostname}:{port}" : external_url;
  min_severity_ = settings.min_severity;
  NotifierSettings next;
  for (const auto& [name, text] : settings.external_labels)
    next.external_labels.emplace_back(name, filled_in(text, host, port));
  next.alertmanagers = settings.alertmanagers;
  next.webhooks = settings.webhooks;
  next.links = {filled_in(std::string(page), host, port), settings.runbook_url};
  notifier_.configure(std::move(next));
  prepare("alertmanager", settings.alertmanagers);
  prepare("webhook", settings.webhooks);
}

// Reads the files of receivers now, so that a mistake is logged at the start and not when the first alert fires.
void Dispatch::prepare(std::string_view kind, std::span<const config::Receiver> receivers) {
  const std::vector<std::string> names = receiver_names(receivers);
  auto next_name = names.begin();
  for (const auto& [url, configured, access] : receivers) {
    const std::string& receiver = *next_name++;
    if (!access.basic_auth && !access.authorization && !url.starts_with("https://")) continue;
    const auto report = [&log = parts_.log, kind, name = receiver](const std::exception_ptr&,
                                                                   const Result<void>& done) {
      if (done || done.error().fault == Fault::transient) return;
      log.warn("a file of a receiver cannot be used",
               {{kind, name}, {"error", done.error().what}, {"remedy", done.error().remedy}});
    };
    asio::co_spawn(parts_.loop, client_.prepare(url, access), report);
  }
}

void Dispatch::start(std::vector<Alert> firing) {
  update({}, std::move(firing));
  started_ = true;
}

void Dispatch::update(std::span<const Alert> changed, std::vector<Alert> firing) {
  for (const Alert& alert : changed) {
    if (alert.phase == Phase::resolved) notifier_.notify(alert);
  }
  firing_ = std::move(firing);
  settle();
}

void Dispatch::settle() {
  if (maintenance_) return;
  notifier_.reconcile(choose(firing_, min_severity_), [this](const Alert& ended) { return reason_of(ended); });
}

std::string Dispatch::reason_of(const Alert& ended) const {
  const bool fires = std::any_of(firing_.begin(), firing_.end(), [&](const Alert& each) { return same(each, ended); });
  if (!fires) return started_ ? "no longer firing" : "no longer firing after a restart of perjouled";
  if (severity_rank(ended.severity) < severity_rank(min_severity_)) return "below alerts.min_severity";
  return "another alert of the same cause is sent in its place";
}

void Dispatch::tick() {
  watch_.look();
  look();
  show();
}

// Whether a maintenance has begun, changed or ended.
bool Dispatch::look() {
  const std::optional<Error>& refused = watch_.refused();
  const std::string said = refused ? refused->what : "";
  if (std::exchange(refused_, said) != said && refused)
    parts_.log.warn("the file of a maintenance is refused; alerts are sent",
                    {{"error", refused->what}, {"remedy", refused->remedy}});
  const std::optional<Maintenance> now = watch_.on();
  const std::optional<Maintenance> before = std::exchange(maintenance_, now);
  if (before == now) return false;
  notifier_.hold(now.has_value());
  if (now) {
    parts_.log.info("maintenance: alerts are evaluated and shown, and not sent",
                    {{"until", text::rfc3339(now->until_ms)}, {"reason", now->reason}});
  } else {
    parts_.log.info("the maintenance is over: alerts are sent again", {{"firing", std::to_string(firing_.size())}});
    settle();
  }
  return true;
}

void Dispatch::show() {
  std::vector<Sample> samples;
  if (const auto id = parts_.recorder.series().identify(maintenance_active, ""))
    samples.push_back({*id, maintenance_ ? 1.0 : 0.0});
  const auto until = maintenance_ ? parts_.recorder.series().identify(maintenance_until, "") : std::nullopt;
  if (until) samples.push_back({*until, static_cast<double>(maintenance_->until_ms) / 1000});
  const auto add = [&](const Metric& metric, const ReceiverStats& of, double value) {
    const auto id = parts_.recorder.series().identify(metric, label_values({of.kind, of.receiver}));
    if (!id) return;
    samples.push_back({*id, value});
  };
  const std::vector<ReceiverStats> receivers = notifier_.stats();
  for (const ReceiverStats& receiver : receivers) {
    add(notifications, receiver, static_cast<double>(receiver.delivered));
    add(notification_failures, receiver, static_cast<double>(receiver.failures));
    add(notifications_dropped, receiver, static_cast<double>(receiver.dropped));
    add(notifications_pending, receiver, static_cast<double>(receiver.pending));
  }
  if (!receivers.empty()) show_client(samples);
  std::vector<SeriesId> gone = std::exchange(shown_, {});
  for (const Sample& sample : samples)
    shown_.push_back(sample.series);
  std::erase_if(gone, [&](SeriesId id) { return std::find(shown_.begin(), shown_.end(), id) != shown_.end(); });
  parts_.recorder.hide_own(gone);
  parts_.recorder.show_own(samples, parts_.clock.now());
}

void Dispatch::show_client(std::vector<Sample>& samples) {
  const auto add = [&](const Metric& metric, std::initializer_list<std::string_view> labels, auto value) {
    const auto id = parts_.recorder.series().identify(metric, label_values(labels));
    if (id) samples.push_back({*id, static_cast<double>(value)});
  };
  const http::ClientCounts counts = client_.counts();
  add(http::client_connections, {"opened"}, counts.connected);
  add(http::client_connections, {"reused"}, counts.pool.reused);
  add(http::client_connections, {"retried"}, counts.retried);
  add(http::client_connections, {"closed"}, counts.pool.closed_by_server);
  add(http::client_kept, {}, counts.kept);
  add(http::client_limits, {"connections"}, counts.pool.evicted);
  add(http::client_limits, {"connections_of_host"}, counts.pool.surplus);
  add(http::client_limits, {"age"}, counts.pool.expired);
  add(http::client_limits, {"header"}, counts.long_heads);
  add(http::client_limits, {"body"}, counts.long_bodies);
  add(http::client_limits, {"file"}, counts.long_files);
  add(http::client_limits, {"lookups"}, counts.waited_lookups);
  add(http::client_limits, {"retry_after"}, notifier_.long_waits());
}

void Dispatch::report(const ReceiverStats& receiver, Notifier::Change change, const Error& error) const {
  const std::string_view kind = receiver.kind;
  switch (change) {
    case Notifier::Change::failing:
      return parts_.log.warn("cannot deliver alerts to a receiver; they are kept and sent again",
                             {{kind, receiver.receiver}, {"error", error.what}, {"remedy", error.remedy}});
    case Notifier::Change::refused:
      return parts_.log.warn("a receiver rejected an alert; it is dropped",
                             {{kind, receiver.receiver}, {"error", error.what}, {"remedy", error.remedy}});
    case Notifier::Change::well:
      return parts_.log.info("alerts are delivered to a receiver again",
                             {{kind, receiver.receiver}, {"pending", std::to_string(receiver.pending)}});
  }
}

std::string filled_in(std::string text, std::string_view hostname, std::string_view port) {
  for (const auto& [place, by] :
       {std::pair<std::string_view, std::string_view>{"{hostname}", hostname}, {"{port}", port}}) {
    for (std::size_t at = text.find(place); at != std::string::npos; at = text.find(place, at + by.size()))
      text.replace(at, place.size(), by);
  }
  return text;
}

}  // namespace perjoule::alerts
