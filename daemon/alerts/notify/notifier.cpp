#include "daemon/alerts/notify/notifier.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <exception>
#include <optional>

#include "daemon/alerts/notify/alertmanager.hpp"
#include "daemon/alerts/notify/receiver_names.hpp"
#include "daemon/alerts/notify/webhook.hpp"
#include "daemon/http/retry_after.hpp"

namespace perjoule::alerts {

namespace {

constexpr std::int64_t backoff_first_ns = nanoseconds_per_second;
constexpr std::int64_t backoff_max_ns = 30 * nanoseconds_per_second;
constexpr std::int64_t repeat_ms = 60'000;

std::string_view name(ReceiverKind kind) {
  return kind == ReceiverKind::alertmanager ? "alertmanager" : "webhook";
}

// A named receiver stays the same when its URL changes.
ReceiverKey key_of(ReceiverKind kind, const config::Receiver& receiver) {
  if (receiver.name.empty()) return fingerprint({{std::string(name(kind)), receiver.url}});
  return fingerprint({{std::string(name(kind)) + " name", receiver.name}});
}

// Why the POST failed; none: delivered.
std::optional<Error> failure(const Result<http::Answer>& answer) {
  if (!answer) return answer.error();
  if (answer->status / 100 == 2) return std::nullopt;
  Error error{Fault::transient, fmt::format("HTTP status {}", answer->status)};
  if (!answer->excerpt.empty()) error.what += ": " + answer->excerpt;
  if (answer->status == 401 || answer->status == 403)
    error.remedy = "check basic_auth or authorization of this receiver, and the files that they name";
  if (answer->status == 407) error.remedy = "use a proxy that this host may use without a password";
  return error;
}

// What decides whether a failure has another cause than the one before: not the body, which may differ each time.
std::string cause_of(const Result<http::Answer>& answer) {
  return answer ? fmt::format("HTTP status {}", answer->status) : answer.error().what;
}

// The receiver rejected the message itself. Such a message is dropped: retrying it would block the following ones for
// ever.
bool is_refusal(const Result<http::Answer>& answer) {
  return answer && (answer->status == 400 || answer->status == 413 || answer->status == 422);
}

}  // namespace

struct Notifier::Receiver {
  ReceiverKind kind{};
  ReceiverKey key;
  std::string url;   // target of the POSTs
  std::string name;  // in metrics and logs
  config::HttpAccess access;
  std::unique_ptr<Alarm> alarm;
  std::int64_t retry_ns = 0;  // steady clock: no POST before this time (back-off)
  std::int64_t backoff_ns = backoff_first_ns;
  std::string failing;  // the cause of the last failure; "" after a delivery
  std::uint64_t delivered = 0;
  std::uint64_t failures = 0;
  bool stopped = false;
};

Notifier::Notifier(asio::io_context& loop, Clock& clock, Transport transport, Outbox::Save save, OnChange on_change)
    : loop_(loop),
      clock_(clock),
      transport_(std::move(transport)),
      on_change_(std::move(on_change)),
      outbox_(std::move(save)) {}

Notifier::~Notifier() {
  for (const auto& receiver : receivers_)
    receiver->stopped = true;
  wake_all();
}

std::size_t Notifier::restore(std::span<const std::pair<std::string, std::string>> kept) {
  return outbox_.restore(kept, clock_.now());
}

void Notifier::configure(NotifierSettings settings) {
  settings_ = std::move(settings);
  const std::vector<std::shared_ptr<Receiver>> before = std::exchange(receivers_, {});
  std::map<ReceiverKey, ReceiverKind> keys;
  take(ReceiverKind::alertmanager, settings_.alertmanagers, before, keys);
  take(ReceiverKind::webhook, settings_.webhooks, before, keys);
  for (const auto& receiver : before) {
    if (keys.contains(receiver->key)) continue;
    receiver->stopped = true;
    receiver->alarm->wake();
  }
  outbox_.set_receivers(std::move(keys));
  wake_all();
}

void Notifier::take(ReceiverKind kind, std::span<const config::Receiver> list,
                    std::span<const std::shared_ptr<Receiver>> before, std::map<ReceiverKey, ReceiverKind>& keys) {
  const std::vector<std::string> names = receiver_names(list);
  for (std::size_t i = 0; i < list.size(); ++i) {
    const ReceiverKey key = key_of(kind, list[i]);
    if (!keys.try_emplace(key, kind).second) continue;
    const auto same_key = [&key](const auto& receiver) { return receiver->key == key; };
    const auto found = std::find_if(before.begin(), before.end(), same_key);
    const bool known = found != before.end();
    const std::shared_ptr<Receiver> receiver = known ? *found : std::make_shared<Receiver>();
    const std::string url = kind == ReceiverKind::alertmanager ? alertmanager_url(list[i].url) : list[i].url;
    if (receiver->url != url || receiver->access != list[i].access) receiver->retry_ns = 0;
    receiver->url = url;
    receiver->access = list[i].access;
    receiver->name = names[i];
    receivers_.push_back(receiver);
    if (known) continue;
    receiver->kind = kind;
    receiver->key = key;
    start(receiver);
  }
}

void Notifier::start(const std::shared_ptr<Receiver>& receiver) {
  receiver->alarm = clock_.alarm();
  // serve() throws only on a programming error. Rethrown here, the exception leaves io_context::run() and ends the
  // daemon with its message; asio::detached would swallow it.
  asio::co_spawn(loop_, serve(receiver), [](const std::exception_ptr& failure) {
    if (failure) std::rethrow_exception(failure);
  });
}

void Notifier::notify(const Alert& alert) {
  if (outbox_.notify(alert, settings_.external_labels, clock_.now())) wake_all();
}

void Notifier::reconcile(std::span<const Alert> firing, const Outbox::Reason& reason) {
  if (outbox_.reconcile(firing, settings_.external_labels, reason, clock_.now())) wake_all();
}

void Notifier::hold(bool held) {
  if (std::exchange(held_, held) != held) wake_all();
}

void Notifier::wake_all() {
  for (const auto& receiver : receivers_)
    receiver->alarm->wake();
}

// The coroutine may start after the notifier was destroyed: it checks `stopped` before it uses a member.
asio::awaitable<void> Notifier::serve(std::shared_ptr<Receiver> receiver) {
  while (!receiver->stopped) {
    const Stamp now = clock_.now();
    std::vector<Outbox::Item> items;
    if (!held_ && now.steady_ns >= receiver->retry_ns) items = outbox_.next(receiver->key, now);
    if (items.empty()) {
      const std::int64_t due_ns = held_ ? Outbox::never : outbox_.due_ns(receiver->key);
      co_await receiver->alarm->wait_until(std::max(receiver->retry_ns, due_ns));
      if (receiver->stopped) co_return;
      continue;
    }
    const Result<http::Answer> answer = co_await transport_(call(*receiver, items));
    if (receiver->stopped) co_return;
    settle(*receiver, items, answer);
  }
}

http::Call Notifier::call(const Receiver& receiver, std::span<const Outbox::Item> items) const {
  std::vector<Notice> notices;
  for (const Outbox::Item& item : items) {
    const Incident& incident = *outbox_.find(item.id);
    notices.push_back(make_notice(incident.alert, incident.external, settings_.links, item.sent == Delivery::resolved));
  }
  const std::int64_t until_ms = clock_.now().wall_ms + 4 * std::max(settings_.interval_ms, repeat_ms);
  http::Call call;
  call.method = "POST";
  call.url = receiver.url;
  call.headers = {{"Content-Type", "application/json"}};
  call.access = receiver.access;
  call.body = receiver.kind == ReceiverKind::alertmanager ? alertmanager_body(notices, until_ms, settings_.links.daemon)
                                                          : webhook_body(notices.front(), settings_.links.daemon);
  return call;
}

// Sets the time of the next POST after one that failed.
void Notifier::hold_off(Receiver& receiver, const Result<http::Answer>& answer, Error error) {
  const Stamp now = clock_.now();
  std::int64_t wait_ns = receiver.backoff_ns;
  if (const auto asked_ms = answer ? http::retry_after_ms(*answer, now.wall_ms) : std::nullopt) {
    if (*asked_ms > retry_after_max_ms) ++long_waits_;
    wait_ns = std::max(wait_ns, std::min(*asked_ms, retry_after_max_ms) * nanoseconds_per_millisecond);
    error.what += fmt::format(" (Retry-After: {} s)", *asked_ms / 1000);
  }
  receiver.retry_ns = now.steady_ns + wait_ns;
  receiver.backoff_ns = std::min(2 * receiver.backoff_ns, backoff_max_ns);
  const std::string cause = cause_of(answer);
  if (std::exchange(receiver.failing, cause) != cause) on_change_(stats(receiver), Change::failing, error);
}

void Notifier::settle(Receiver& receiver, std::span<const Outbox::Item> items, const Result<http::Answer>& answer) {
  const Stamp now = clock_.now();
  const std::optional<Error> error = failure(answer);
  if (error) ++receiver.failures;
  if (error && !is_refusal(answer)) return hold_off(receiver, answer, *error);
  receiver.backoff_ns = backoff_first_ns;
  if (error) {
    outbox_.refused(receiver.key, items, now);
    on_change_(stats(receiver), Change::refused, *error);
  } else {
    receiver.delivered += items.size();
    outbox_.delivered(receiver.key, items, now);
  }
  if (!std::exchange(receiver.failing, "").empty()) on_change_(stats(receiver), Change::well, {});
}

ReceiverStats Notifier::stats(const Receiver& receiver) const {
  return {std::string(name(receiver.kind)),
          receiver.name,
          receiver.delivered,
          receiver.failures,
          outbox_.dropped(receiver.key),
          outbox_.pending(receiver.key)};
}

std::vector<ReceiverStats> Notifier::stats() const {
  std::vector<ReceiverStats> all;
  for (const auto& receiver : receivers_)
    all.push_back(stats(*receiver));
  return all;
}

}  // namespace perjoule::alerts
