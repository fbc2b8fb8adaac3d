// Brings alerts to their receivers: one coroutine per receiver, so that one that is down costs the others nothing.
//
// Loop's thread only; never blocks. Intervals are on the steady clock, stamps on the wall clock. A POST that fails is
// tried again after 1, 2, 4, .. 30 s; a receiver that calls the message itself wrong (400, 413, 422) does not get it
// again. What is undelivered or firing is kept through `save` (daemon/alerts/notify/outbox.hpp says what a restart
// repeats).
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/alerts/notice.hpp"
#include "daemon/alerts/notify/outbox.hpp"
#include "daemon/base/clock.hpp"
#include "daemon/http/client.hpp"

namespace perjoule::alerts {

struct NotifierSettings {
  Labels external_labels;                  // go with every alert
  std::vector<std::string> alertmanagers;  // base URLs; each gets every alert
  std::vector<std::string> webhooks;       // URLs
  Links links;
  std::int64_t interval_ms = 1'000;  // between two evaluations of the rules
};

// Counted since the start, and per receiver; two receivers on one host and port have one name.
struct ReceiverStats {
  std::string kind;      // alertmanager, webhook
  std::string receiver;  // host and port: a path may hold a secret
  std::uint64_t delivered = 0;
  std::uint64_t failures = 0;
  std::uint64_t dropped = 0;
  std::size_t pending = 0;
};

class Notifier {
 public:
  using Transport = std::function<asio::awaitable<Result<http::Answer>>(http::Call)>;
  enum class Change : std::uint8_t {
    failing,  // from now on
    well,     // again
    refused,  // it calls a message wrong, which is dropped
  };
  using OnChange = std::function<void(const ReceiverStats& receiver, Change change, const Error& error)>;

  Notifier(asio::io_context& loop, Clock& clock, Transport transport, Outbox::Save save, OnChange on_change);
  ~Notifier();
  Notifier(const Notifier&) = delete;
  Notifier& operator=(const Notifier&) = delete;

  // Once, before configure(): what a former run kept. Returns how many of the texts were none of ours.
  std::size_t restore(std::span<const std::pair<std::string, std::string>> kept);
  // At the start and at each reload. A receiver that stays goes on where it is.
  void configure(NotifierSettings settings);

  void notify(const Alert& alert);
  // After a restart: an alert that fires and is unknown here begins, an open one that is not among them ends.
  void reconcile(std::span<const Alert> firing);

  [[nodiscard]] std::vector<ReceiverStats> stats() const;

 private:
  struct Receiver;
  void add(ReceiverKind kind, const std::string& url);
  void wake_all();
  asio::awaitable<void> serve(std::shared_ptr<Receiver> receiver);
  [[nodiscard]] http::Call call(const Receiver& receiver, std::span<const Outbox::Item> items) const;
  void settle(Receiver& receiver, std::span<const Outbox::Item> items, const Result<http::Answer>& answer);
  [[nodiscard]] ReceiverStats stats(const Receiver& receiver) const;

  asio::io_context& loop_;
  Clock& clock_;
  Transport transport_;
  OnChange on_change_;
  NotifierSettings settings_;
  Outbox outbox_;
  std::vector<std::shared_ptr<Receiver>> receivers_;
};

}  // namespace perjoule::alerts
