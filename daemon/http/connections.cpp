#include "daemon/http/connections.hpp"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <iterator>
#include <string>
#include <utility>

#include "daemon/http/response_head.hpp"

namespace perjoule::http {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

bool is_loopback(const tcp::socket& socket) {
  error_code error;
  auto address = socket.remote_endpoint(error).address();
  if (error) return false;
  // A dual-stack socket shows an IPv4 client as ::ffff:127.0.0.1.
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    return asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6()).is_loopback();
  return address.is_loopback();
}

}  // namespace

Connection::Connection(tcp::socket peer, const Limits& limits)
    : socket(std::move(peer)),
      pause(socket.get_executor()),
      reader(limits.header_bytes, limits.body_bytes),
      pace(limits.requests_per_second, limits.requests_burst, Clock::now()),
      loopback(is_loopback(socket)),
      served_at(Clock::now() - head_start) {
  error_code ignored;  // if the peer is already gone, the first read fails
  socket.non_blocking(true, ignored);
  socket.set_option(tcp::no_delay(true), ignored);
}

Connection& Connections::add(tcp::socket socket, const Limits& limits) {
  auto& connection = waiting_.emplace_back(std::move(socket), limits);
  connection.list_ = &waiting_;
  connection.self_ = std::prev(waiting_.end());
  ++accepted;
  ++open;
  return connection;
}

void Connections::forget(Connection& connection) {
  if (connection.list_ != &closed_) --open;
  connection.list_->erase(connection.self_);
}

void Connections::move(Connection& connection, List& list, List::iterator before) {
  list.splice(before, *connection.list_, connection.self_);
  connection.list_ = &list;
}

void Connections::served(Connection& connection) {
  connection.served_at = Clock::now();
  move(connection, waiting_, waiting_.end());
}
void Connections::writing(Connection& connection) {
  move(connection, writing_, writing_.end());
}
void Connections::leaving(Connection& connection) {
  move(connection, waiting_, waiting_.begin());
}

void Connections::close(Connection& connection) {
  --open;
  error_code ignored;
  // Unsent data would stay in the kernel's buffers long after the close; a reset (SO_LINGER 0) frees it at once.
  if (connection.phase == Connection::Phase::writing)
    connection.socket.set_option(asio::socket_base::linger(true, 0), ignored);
  connection.socket.close(ignored);
  connection.pause.cancel();
  move(connection, closed_, closed_.end());
}

void Connections::evict() {
  auto& list = waiting_.empty() ? writing_ : waiting_;
  if (list.empty()) return;
  ++evicted;
  const auto spared = std::find_if(list.begin(), list.end(), [](const Connection& connection) {
    return connection.phase != Connection::Phase::waiting;
  });
  close(spared != list.end() ? *spared : list.front());
}

bool Connections::evict_writing(Clock::time_point deadline) {
  if (writing_.empty() || writing_.front().deadline > deadline) return false;
  ++evicted;
  close(writing_.front());
  return true;
}

Connections::Clock::time_point Connections::close_overdue(Clock::time_point now) {
  auto next = Clock::time_point::max();
  for (List* list : {&waiting_, &writing_}) {
    for (auto at = list->begin(); at != list->end();) {
      auto& connection = *at++;
      if (connection.deadline > now) {
        next = std::min(next, connection.deadline);
        continue;
      }
      using Phase = Connection::Phase;
      if (connection.phase != Phase::idle && connection.phase != Phase::leaving) ++timeouts;
      if (connection.phase == Phase::header || connection.phase == Phase::body) {
        error_code ignored;  // the 408 is sent only if that is possible without waiting
        connection.socket.write_some(asio::buffer(refusal(408, "the request did not arrive in time")), ignored);
      }
      close(connection);
    }
  }
  return next;
}

void Connections::close_all() {
  waiting_.clear();
  writing_.clear();
  closed_.clear();
  open = 0;
}

}  // namespace perjoule::http
