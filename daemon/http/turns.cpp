#include "daemon/http/turns.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace perjoule::http {

namespace asio = boost::asio;

asio::awaitable<void> Turns::wait(
    Connection& connection,  // NOLINT(cppcoreguidelines-avoid-reference-coroutine-parameters)
    bool urgent) {
  const Place place(!urgent, connection.served_at, ++arrivals_);
  waiting_.emplace(place, &connection);
  if (!std::exchange(giving_, true)) asio::post(context_, [this] { give(); });
  connection.pause.expires_at(Connection::Clock::time_point::max());
  co_await connection.pause.async_wait(asio::as_tuple(asio::use_awaitable));
  waiting_.erase(place);  // still there when the connection was closed
}

// Gives one turn and goes on behind all that is ready by then: asio queues a posted handler behind the reactor, so that
// between two turns every socket that has become ready is accepted or read.
void Turns::give() {
  giving_ = !waiting_.empty();
  if (!giving_) return;
  Connection* next = waiting_.begin()->second;
  waiting_.erase(waiting_.begin());
  next->pause.cancel();
  asio::post(context_, [this] { give(); });
}

}  // namespace perjoule::http
