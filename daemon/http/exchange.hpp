// One call of the client in progress: its deadline, its cancellation and the connection that it uses. Owned by the
// call's coroutine. The timer and cancel() only close the socket and wake the coroutine, which then ends with an error,
// or is never resumed if the loop has ended. Loop's thread only.
#pragma once

#include <fmt/format.h>

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/http/client_connection.hpp"

namespace perjoule::http {

class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  explicit Exchange(asio::io_context& context) : timer_(context), wake_(context) {}

  void arm(Steady::time_point until) {
    expired_ = false;
    timer_.expires_at(until);
    timer_.async_wait([weak = weak_from_this()](const error_code& error) {
      const std::shared_ptr<Exchange> self = weak.lock();
      if (error || !self || self->timer_.expiry() > Steady::now()) return;
      self->expired_ = true;
      self->close();
    });
  }
  void disarm() { timer_.cancel(); }
  void cancel() {
    cancelled_ = true;
    close();
  }
  [[nodiscard]] bool ended() const { return cancelled_ || expired_; }
  [[nodiscard]] bool cancelled() const { return cancelled_; }

  // Returns at wake(), at the end of the call or at `until`; the caller looks which it was.
  asio::awaitable<void> wait(Steady::time_point until = Steady::time_point::max()) {
    const std::shared_ptr<Exchange> self = shared_from_this();
    error_code ignored;
    wake_.expires_at(until);
    co_await wake_.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  void wake() { wake_.cancel(); }

  [[nodiscard]] Error failure(std::string_view doing, std::string_view what) const {
    if (cancelled_) return {Fault::transient, "cancelled"};
    if (expired_) return {Fault::timeout, fmt::format("{}: no answer in time", doing)};
    return {Fault::transient, fmt::format("{}: {}", doing, what)};
  }

  std::shared_ptr<ClientConnection> connection;

 private:
  void close() {
    if (connection) connection->close();
    wake();
  }

  asio::steady_timer timer_;
  asio::steady_timer wake_;
  bool expired_ = false;
  bool cancelled_ = false;
};

// Calls that wait for the same event. They may end before it.
using Waiters = std::vector<std::weak_ptr<Exchange>>;
inline void add_waiter(Waiters& waiters, const std::shared_ptr<Exchange>& exchange) {
  std::erase_if(waiters, [](const std::weak_ptr<Exchange>& weak) { return weak.expired(); });
  waiters.push_back(exchange);
}
inline void wake_all(Waiters& waiters) {
  for (const std::weak_ptr<Exchange>& weak : std::exchange(waiters, {})) {
    if (const std::shared_ptr<Exchange> waiting = weak.lock()) waiting->wake();
  }
}

}  // namespace perjoule::http
