#include "daemon/alerts/notify/dispatch.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

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
      client_(parts_.loop, {parts_.make_lane, "perjouled/" + parts_.version, {}}),
      notifier_(
          parts_.loop, parts_.clock, [this](http::Call call) { return client_.fetch(std::move(call)); },
          [this](const std::string& key, const std::string& text) { parts_.ledger.set_state(key, text); },
          [this](const ReceiverStats& receiver, Notifier::Change change, const Error& error) {
            report(receiver, change, error);
          }) {
  const std::map<std::string, std::string> states = parts_.ledger.states(outbox_prefix);
  const std::vector<std::pair<std::string, std::string>> kept(states.begin(), states.end());
  if (const std::size_t forgotten = notifier_.restore(kept); forgotten > 0)
    parts_.log.warn("undelivered alerts of the previous run cannot be restored from the ledger; they are dropped",
                    {{"alerts", std::to_string(forgotten)}});
}

void Dispatch::configure(const config::Alerts& settings) {
  const std::string host = host_name();
  const std::string port = parts_.address.substr(parts_.address.rfind(':') + 1);
  NotifierSettings next;
  for (const auto& [name, text] : settings.external_labels)
    next.external_labels.emplace_back(name, filled_in(text, host, port));
  next.alertmanagers = settings.alertmanagers;
  next.webhooks = settings.webhooks;
  next.links = {fmt::format("http://{}:{}", host, port), settings.runbook_url};
  notifier_.configure(std::move(next));
}

void Dispatch::show() {
  std::vector<Sample> samples;
  const auto add = [&](const Metric& metric, const ReceiverStats& of, double value) {
    const auto id = parts_.series.identify(metric, label_values({of.kind, of.receiver}));
    if (!id) return;
    const auto twin = std::find_if(samples.begin(), samples.end(), [&](const Sample& s) { return s.series == *id; });
    if (twin == samples.end()) {
      samples.push_back({*id, value});
    } else {
      twin->value += value;  // two receivers on the same host and port share a series
    }
  };
  for (const ReceiverStats& receiver : notifier_.stats()) {
    add(notifications, receiver, static_cast<double>(receiver.delivered));
    add(notification_failures, receiver, static_cast<double>(receiver.failures));
    add(notifications_dropped, receiver, static_cast<double>(receiver.dropped));
    add(notifications_pending, receiver, static_cast<double>(receiver.pending));
  }
  std::vector<SeriesId> gone = std::exchange(shown_, {});
  for (const Sample& sample : samples)
    shown_.push_back(sample.series);
  std::erase_if(gone, [&](SeriesId id) { return std::find(shown_.begin(), shown_.end(), id) != shown_.end(); });
  parts_.latest.remove(gone);
  parts_.latest.set(samples, parts_.clock.now().steady_ns, Latest::never_stale);
}

void Dispatch::report(const ReceiverStats& receiver, Notifier::Change change, const Error& error) const {
  const std::string_view kind = receiver.kind;
  switch (change) {
    case Notifier::Change::failing:
      return parts_.log.warn("cannot deliver alerts to a receiver; they are kept and sent again",
                             {{kind, receiver.receiver}, {"error", error.what}, {"remedy", error.remedy}});
    case Notifier::Change::refused:
      return parts_.log.warn("a receiver rejected an alert; it is dropped",
                             {{kind, receiver.receiver}, {"error", error.what}});
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
