// Notifies the service manager (sd_notify(3)): ready, status, reloading, stopping, and that the loop is alive.
//
// Each message is one datagram to $NOTIFY_SOCKET. libsystemd's sd_notify() waits while the receiver's queue is full;
// the loop must not wait, so these messages are sent without blocking. If the manager does not read, READY and STATUS
// are sent again later, and keep-alives repeat anyway. Without a socket every call does nothing. Loop's thread only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "daemon/base/clock.hpp"
#include "daemon/sampling/sources.hpp"

namespace perjoule {

// Settings of the service manager, from the environment.
struct Supervisor {
  std::string notify_socket;     // a path, or "@NAME" in the abstract namespace; "": no service manager to notify
  std::int64_t watchdog_us = 0;  // without a keep-alive for this long the manager ends the daemon; 0: no watchdog
  bool journal = false;          // stderr is connected to journald
};
// $WATCHDOG_USEC if $WATCHDOG_PID is this process or empty, else 0.
[[nodiscard]] std::int64_t watchdog_interval(std::string_view usec, std::string_view pid, std::int64_t own_pid);

class Service {
 public:
  // Operators expect an "active" service to have numbers, so READY is sent when every source has had its first call or
  // deadline, as for /-/ready. It is sent after this time at the latest, because the manager ends a daemon that does
  // not become ready in time (TimeoutStartSec).
  static constexpr std::int64_t ready_wait_ns = 10 * nanoseconds_per_second;
  static constexpr std::int64_t status_period_ns = 5 * nanoseconds_per_second;
  // Time that the start may take (EXTEND_TIMEOUT_USEC): migrating a ledger or copying a damaged one may be slow.
  static constexpr std::int64_t opening_limit_us = 300'000'000;

  Service(asio::io_context& loop, Clock& clock, const Supervisor& supervisor);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  void opening(std::string_view what);
  // To be called each second. Calls `status` (one line) at most once per status_period_ns, and sends it if it changed.
  void update(bool settled, const std::function<std::string()>& status);
  void reloading();
  // `trouble` for the status line: why the last reload did not succeed; "" if it did.
  void reloaded(std::string_view trouble);
  void stopping();

 private:
  // Feeds the watchdog at half its interval, from the loop only: it expires when the loop stalls, but not when a lane
  // or the disk hangs.
  asio::awaitable<void> feed(std::int64_t every_ns, std::shared_ptr<const bool> alive);
  bool send(std::string_view message) const;

  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Clock& clock_;
  std::string address_;  // in the form of sun_path; "": no service manager to notify
  int socket_ = -1;
  std::int64_t started_ns_ = 0;
  std::int64_t status_due_ns_ = 0;
  std::string shown_;
  bool ready_ = false;
  std::string trouble_;  // of the last reload
};

// "8 GPUs; cpu, rapl ok; textfile denied; 2431 W; scrape 127.0.0.1:10190; history 41 MiB". Sources that are absent or
// have had no call yet are left out. `history_bytes`: none without storage, 0 before the first commit.
[[nodiscard]] std::string status_line(const Sources& sources, const Latest& latest, std::int64_t now_ns,
                                      std::span<const std::string> addresses,
                                      std::optional<std::int64_t> history_bytes);

}  // namespace perjoule
