// The open connections, their deadlines, and the order in which they are closed when room is needed. Web thread only;
// the counters may be read by any thread, and are updated before the client can notice the change.
#pragma once

#include <atomic>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>

#include "daemon/http/pace.hpp"
#include "daemon/http/request_reader.hpp"
#include "daemon/http/server.hpp"

namespace perjoule::http {

struct Connection {
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds head_start{1};  // of a new one among those that wait for their turn
  enum class Phase : std::uint8_t {
    silent,   // accepted, no byte received yet
    header,   // receiving a header
    body,     // receiving a body
    waiting,  // for its turn, or for a handler that answers later
    writing,  // the client is slow to receive a response
    idle,     // between two requests
    leaving,  // the last response is written, waiting for the client to close
  };

  Connection(boost::asio::ip::tcp::socket peer, const Limits& limits);

  boost::asio::ip::tcp::socket socket;
  boost::asio::steady_timer pause;  // delays a request above the rate limit, and until its turn
  RequestReader reader;
  Pace pace;
  bool loopback = false;
  Clock::time_point served_at;  // when its last response was sent; before the first one head_start before the accept
  Phase phase = Phase::silent;
  Clock::time_point deadline = Clock::time_point::max();

 private:
  friend class Connections;
  std::list<Connection>* list_ = nullptr;
  std::list<Connection>::iterator self_;
};

// Owns the connections. A connection's coroutine uses it until it calls forget(); closing a connection only closes its
// socket, which makes the coroutine end.
class Connections {
 public:
  using Clock = Connection::Clock;

  Connection& add(boost::asio::ip::tcp::socket socket, const Limits& limits);
  void forget(Connection& connection);

  // Called when a response has been sent: of all connections, this one is then evicted last.
  void served(Connection& connection);
  void writing(Connection& connection);
  void leaving(Connection& connection);

  // Closes one connection to make room: first one in phase leaving, then the one whose last response is longest ago,
  // then one that waits for its handler, then the one that has been writing longest.
  void evict();
  // Closes the connection that has been writing longest, if its own deadline is at or before `deadline`.
  bool evict_writing(Clock::time_point deadline);

  // Closes the connections whose deadline has passed; returns the next deadline.
  Clock::time_point close_overdue(Clock::time_point now);
  void close_all();

  [[nodiscard]] std::size_t writing() const { return writing_.size(); }

  std::atomic<std::uint64_t> accepted = 0;
  std::atomic<std::uint64_t> open = 0;
  std::atomic<std::uint64_t> evicted = 0;
  std::atomic<std::uint64_t> timeouts = 0;  // without those of idle and leaving connections

 private:
  using List = std::list<Connection>;
  static void move(Connection& connection, List& list, List::iterator before);
  void close(Connection& connection);

  List waiting_;  // every connection that is not writing; the next to evict is at the front
  List writing_;  // the one that has been writing longest is at the front
  List closed_;   // closed, but their coroutines have not ended yet
};

}  // namespace perjoule::http
