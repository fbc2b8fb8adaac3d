// The order in which requests are answered that have arrived and wait. Web thread only.
//
// Urgent ones first. Then the one whose connection has waited longest since its last response, so that a busy
// connection cannot keep others out. A new connection counts as if it had waited a second: it comes before the busy
// ones, and does not keep out those that ask every few seconds, however many new ones there are.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <tuple>

#include "daemon/http/connections.hpp"

namespace perjoule::http {

class Turns {
 public:
  explicit Turns(boost::asio::io_context& context) : context_(context) {}

  // Returns when it is the turn of the connection's request, or when the connection was closed.
  boost::asio::awaitable<void> wait(Connection& connection, bool urgent);

 private:
  using Place = std::tuple<bool, Connection::Clock::time_point, std::uint64_t>;
  void give();

  boost::asio::io_context& context_;
  std::map<Place, Connection*> waiting_;  // the next one first
  std::uint64_t arrivals_ = 0;
  bool giving_ = false;  // give() is posted
};

}  // namespace perjoule::http
