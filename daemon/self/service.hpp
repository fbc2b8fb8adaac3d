// What the service manager is told (sd_notify(3)): ready, status, reloading, stopping, and that the loop is alive.
//
// A message is one datagram to $NOTIFY_SOCKET. libsystemd's sd_notify() waits while the receiver's queue is full, which
// the loop must not: this one never waits. What a manager that does not read has lost is sent again where it matters
// (READY, STATUS); the keep-alive comes anew anyway. Without a socket every call does nothing. Loop's thread only.
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

// What the service manager left in the environment.
struct Supervisor {
  std::string notify_socket;     // a path, or "@NAME" in the abstract namespace; "": nobody is to be told
  std::int64_t watchdog_us = 0;  // silence after which the manager ends the daemon; 0: it waits for ever
  bool journal = false;          // stderr is read by journald
};
// $WATCHDOG_USEC, when $WATCHDOG_PID names this process or nobody; else 0.
[[nodiscard]] std::int64_t watchdog_interval(std::string_view usec, std::string_view pid, std::int64_t own_pid);

class Service {
 public:
  // Operators take "active" for "it has numbers", so READY waits until every source has had its first call or deadline,
  // as /-/ready does. No source may hold it longer than this after the construction: a manager that is not told in time
  // ends the daemon.
  static constexpr std::int64_t ready_wait_ns = 10 * nanoseconds_per_second;
  static constexpr std::int64_t status_period_ns = 5 * nanoseconds_per_second;
  // A ledger that has to be migrated or set aside may take long on a slow disk.
  static constexpr std::int64_t opening_limit_us = 300'000'000;

  Service(asio::io_context& loop, Clock& clock, const Supervisor& supervisor);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;

  void opening(std::string_view what);
  // Each second. `status` (one line) is asked for at most once per status_period_ns, and sent when it has changed.
  void update(bool settled, const std::function<std::string()>& status);
  void reloading();
  void reloaded(bool successful);
  void stopping();

 private:
  // Feeds the watchdog at half its time from the loop and from nowhere else: it starves when the loop stalls, and not
  // when a lane or the disk hangs.
  asio::awaitable<void> feed(std::int64_t every_ns, std::shared_ptr<const bool> alive);
  bool send(std::string_view message) const;

  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
  Clock& clock_;
  std::string address_;  // as sun_path has it; "": nobody is to be told
  int socket_ = -1;
  std::int64_t started_ns_ = 0;
  std::int64_t status_due_ns_ = 0;
  std::string shown_;
  bool ready_ = false;
  bool refused_ = false;  // the last reload
};

// "8 GPUs; cpu, rapl ok; textfile denied; 2431 W; scrape 127.0.0.1:10190; history 41 MiB". Sources that are absent or
// have not answered yet are left out. `history_bytes`: none without storage, 0 before the first commit.
[[nodiscard]] std::string status_line(const Sources& sources, const Latest& latest, std::int64_t now_ns,
                                      std::span<const std::string> addresses,
                                      std::optional<std::int64_t> history_bytes);

}  // namespace perjoule
