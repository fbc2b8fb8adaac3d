// The open connections in the order in which they can be spared, and their deadlines. Used on the web thread only, but
// for the counters, which any thread may read and which count before the client can notice.
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
  enum class Phase : std::uint8_t {
    silent,   // accepted, no byte yet
    header,   // receiving one
    body,     // receiving one
    waiting,  // its answer is being made
    writing,  // the client is slow to take an answer
    idle,     // between two requests
    leaving,  // the last answer is written, the client's end is awaited
  };

  Connection(boost::asio::ip::tcp::socket peer, const Limits& limits);

  boost::asio::ip::tcp::socket socket;
  boost::asio::steady_timer pause;  // before a request that comes too soon
  RequestReader reader;
  Pace pace;
  bool loopback = false;
  Phase phase = Phase::silent;
  Clock::time_point deadline = Clock::time_point::max();

 private:
  friend class Connections;
  std::list<Connection>* list_ = nullptr;
  std::list<Connection>::iterator self_;
};

// A connection's coroutine refers to it until it calls `forget`; closing one only makes its coroutine find that out.
class Connections {
 public:
  using Clock = Connection::Clock;

  Connection& add(boost::asio::ip::tcp::socket socket, const Limits& limits);
  void forget(Connection& connection);

  // Moves a connection to the end of those that can be spared: it has just been served.
  void served(Connection& connection);
  void writing(Connection& connection);
  void leaving(Connection& connection);

  // Closes the connection that can best be spared: first those that leave, then the one whose last request is longest
  // ago, then one whose answer is being made, then the one that has been slow to take its answer longest.
  void evict();
  // Closes the slowest taker of an answer if it is due before `deadline`.
  bool evict_writing(Clock::time_point deadline);

  // Closes those whose deadline has passed; returns the next deadline.
  Clock::time_point close_overdue(Clock::time_point now);
  void close_all();

  [[nodiscard]] std::size_t writing() const { return writing_.size(); }

  std::atomic<std::uint64_t> accepted = 0;
  std::atomic<std::uint64_t> open = 0;
  std::atomic<std::uint64_t> evicted = 0;
  std::atomic<std::uint64_t> timeouts = 0;  // idle and leaving connections apart

 private:
  using List = std::list<Connection>;
  static void move(Connection& connection, List& list, List::iterator before);
  void close(Connection& connection);

  List waiting_;  // for a request or the client's end; those to be spared first stand in front
  List writing_;  // the longest in front
  List closed_;   // their coroutines have not yet run
};

}  // namespace perjoule::http
