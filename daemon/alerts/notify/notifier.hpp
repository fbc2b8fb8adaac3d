// Sends alerts to their receivers. Each receiver has its own coroutine, so a receiver that is down does not delay the
// others.
//
// Loop's thread only; never blocks. Intervals are on the steady clock, timestamps on the wall clock. A failed POST is
// retried after 1, 2, 4, .. 30 s, or later if the receiver asks for it (Retry-After, at most ten minutes), except when
// the receiver rejects the message itself (HTTP 400, 413, 422). Firing and undelivered incidents are saved through
// `save`; outbox.hpp says what is sent again after a restart.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "collectors/result.hpp"
#include "config/receiver.hpp"
#include "daemon/alerts/notice.hpp"
#include "daemon/alerts/notify/outbox.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/http/client.hpp"

namespace perjoule::alerts {

struct NotifierSettings {
  Labels external_labels;                       // added to every alert
  std::vector<config::Receiver> alertmanagers;  // with base URLs; each gets every alert
  std::vector<config::Receiver> webhooks;
  Links links;
  std::int64_t interval_ms = 1'000;  // between two evaluations of the rules; sets endsAt for Alertmanagers
};

// Counts since the daemon's start.
struct ReceiverStats {
  std::string kind;      // alertmanager, webhook
  std::string receiver;  // receiver_names.hpp
  std::uint64_t delivered = 0;
  std::uint64_t failures = 0;
  std::uint64_t dropped = 0;
  std::size_t pending = 0;
};

class Notifier {
 public:
  using Transport = std::function<asio::awaitable<Result<http::Answer>>(http::Call)>;
  enum class Change : std::uint8_t {
    failing,  // the first failed POST of an outage, or the first with another cause
    well,     // the first delivery after an outage
    refused,  // the receiver rejected a message, which is dropped
  };
  using OnChange = std::function<void(const ReceiverStats& receiver, Change change, const Error& error)>;

  Notifier(asio::io_context& loop, Clock& clock, Transport transport, Outbox::Save save, OnChange on_change);
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  // Call once, before configure(), with what the previous run saved. Returns how many entries could not be restored.
  std::size_t restore(std::span<const std::pair<std::string, std::string>> kept);
  // Call at the start and at each reload. A receiver that is still configured keeps its state.
  void configure(NotifierSettings settings);

  // A transition of an alert to firing or resolved.
  void notify(const Alert& alert);
  // Opens an incident for each firing alert that has none, and ends the open incidents whose alert is not in `firing`,
  // each with its `reason`.
  void reconcile(std::span<const Alert> firing, const Outbox::Reason& reason);
  // While it is true nothing is sent, and nothing is lost: what is due is sent afterwards.
  void hold(bool held);

  [[nodiscard]] std::vector<ReceiverStats> stats() const;
  // How often a receiver asked for a longer wait than retry_after_max_ms.
  [[nodiscard]] std::uint64_t long_waits() const { return long_waits_; }
  static constexpr std::int64_t retry_after_max_ms = 600'000;

 private:
  struct Receiver;
  void start(const std::shared_ptr<Receiver>& receiver);
  void take(ReceiverKind kind, std::span<const config::Receiver> list,
            std::span<const std::shared_ptr<Receiver>> before, std::map<ReceiverKey, ReceiverKind>& keys);
  void wake_all();
  asio::awaitable<void> serve(std::shared_ptr<Receiver> receiver);
  [[nodiscard]] http::Call call(const Receiver& receiver, std::span<const Outbox::Item> items) const;
  void hold_off(Receiver& receiver, const Result<http::Answer>& answer, Error error);
  void settle(Receiver& receiver, std::span<const Outbox::Item> items, const Result<http::Answer>& answer);
  [[nodiscard]] ReceiverStats stats(const Receiver& receiver) const;

  asio::io_context& loop_;
  Clock& clock_;
  Transport transport_;
  OnChange on_change_;
  NotifierSettings settings_;
  Outbox outbox_;
  std::vector<std::shared_ptr<Receiver>> receivers_;
  std::uint64_t long_waits_ = 0;
  bool held_ = false;
};

}  // namespace perjoule::alerts
