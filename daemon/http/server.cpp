#include "daemon/http/server.hpp"

#include <pthread.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "daemon/http/connections.hpp"
#include "daemon/http/listener.hpp"
#include "daemon/http/response_head.hpp"
#include "daemon/http/turns.hpp"

namespace perjoule::http {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Clock = Connection::Clock;
using Phase = Connection::Phase;

namespace {

constexpr auto tuple = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::milliseconds accept_pause{100};    // after accept(2) failed for lack of descriptors or memory
constexpr std::chrono::milliseconds leave_timeout{1000};  // how long a client may take to close after its last response
constexpr std::size_t leave_bytes = 1024 * 1024;          // how much it may still send in that time

}  // namespace

class Server::Implementation {
 public:
  Implementation(std::vector<std::string> listen_addresses, Limits limits, Handler handler)
      : listen_addresses_(std::move(listen_addresses)),
        limits_(std::move(limits)),
        handler_(std::move(handler)),
        watch_(context_) {}

  Result<void> start();
  void stop();
  Stats stats() const;

  std::vector<std::string> bound;  // set by start

 private:
  asio::awaitable<void> watch();
  asio::awaitable<void> accept(tcp::acceptor& acceptor);
  // The connection outlives its coroutine: `connections_` keeps it until the coroutine calls forget().
  asio::awaitable<void> serve(Connection& connection);
  asio::awaitable<bool> receive(Connection& connection);
  asio::awaitable<std::optional<Response>> await_later(Connection& connection, std::function<void(Reply)> later);
  asio::awaitable<bool> answer(Connection& connection);
  asio::awaitable<void> leave(Connection& connection);

  void admit(tcp::socket socket);
  void refuse(Connection& connection, unsigned status, std::string_view why);
  std::optional<Response> call_handler(const Request& request);
  bool is_urgent(const Request& request) const;
  bool make_room();
  error_code read_some(Connection& connection, std::string_view& bytes);
  void note_progress(Connection& connection, RequestReader::State state);
  void enter(Connection& connection, Phase phase, Clock::duration timeout);

  std::vector<std::string> listen_addresses_;
  Limits limits_;
  Handler handler_;

  asio::io_context context_{1};  // declared first: it must outlive every member that has a socket or timer in it
  std::vector<tcp::acceptor> acceptors_;
  Connections connections_;
  Turns turns_{context_};
  asio::steady_timer watch_;               // expires at the nearest deadline or earlier
  std::array<char, 16 * 1024> scratch_{};  // shared read buffer; a connection keeps only bytes it cannot parse yet

  std::atomic<std::uint64_t> requests_ = 0;
  std::atomic<std::uint64_t> refused_ = 0;
  std::atomic<std::uint64_t> delayed_ = 0;
  std::atomic<std::uint64_t> failures_ = 0;

  std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);  // a Reply may be called after the server
  std::mutex life_;                                                         // of start and stop
  bool started_ = false;
  std::thread thread_;
};

Result<void> Server::Implementation::start() {
  std::lock_guard lock(life_);
  if (std::exchange(started_, true)) return Error{Fault::broken, "the web server was started before"};
  for (const auto& address : listen_addresses_) {
    auto acceptor = listen(context_, address, listen_addresses_);
    if (acceptor.has_error()) {
      acceptors_.clear();
      bound.clear();
      return acceptor.error();
    }
    error_code ignored;
    bound.push_back(to_text(acceptor->local_endpoint(ignored)));
    acceptors_.push_back(std::move(*acceptor));
  }
  for (auto& acceptor : acceptors_)
    asio::co_spawn(context_, accept(acceptor), asio::detached);
  asio::co_spawn(context_, watch(), asio::detached);
  thread_ = std::thread([this] { context_.run(); });
  pthread_setname_np(thread_.native_handle(), "web");
  return {};
}

void Server::Implementation::stop() {
  std::lock_guard lock(life_);
  started_ = true;
  context_.stop();
  if (thread_.joinable()) thread_.join();
  // No coroutine runs any more; the context destroys their frames.
  acceptors_.clear();
  connections_.close_all();
}

Stats Server::Implementation::stats() const {
  return {.connections_accepted = connections_.accepted,
          .connections_evicted = connections_.evicted,
          .connections_open = connections_.open,
          .requests = requests_,
          .requests_refused = refused_,
          .timeouts = connections_.timeouts,
          .requests_delayed = delayed_,
          .handler_failures = failures_};
}

// One timer for all connections: most deadlines are replaced before they expire, which then costs an assignment and no
// timer operation.
asio::awaitable<void> Server::Implementation::watch() {
  for (;;) {
    watch_.expires_at(connections_.close_overdue(Clock::now()));
    co_await watch_.async_wait(tuple);
  }
}

void Server::Implementation::enter(Connection& connection, Phase phase, Clock::duration timeout) {
  connection.phase = phase;
  connection.deadline = Clock::now() + timeout;
  // Moving the expiry wakes watch(), which then determines the nearest deadline.
  if (connection.deadline < watch_.expiry()) watch_.expires_at(connection.deadline);
}

asio::awaitable<void>
Server::Implementation::accept(  // NOLINTNEXTLINE(cppcoreguidelines-avoid-reference-coroutine-parameters)
    tcp::acceptor& acceptor) {
  asio::steady_timer pause(context_);
  for (;;) {
    // Without a free descriptor accept(2) fails at once even when no client is waiting, so wait for a client first.
    auto [failed] = co_await acceptor.async_wait(tcp::acceptor::wait_read, tuple);
    error_code error = failed;
    tcp::socket socket(context_);
    if (!error) acceptor.accept(socket, error);
    if (!error) {
      admit(std::move(socket));
    } else if (error != asio::error::would_block && error != asio::error::connection_aborted) {
      // Out of descriptors or memory: close a connection and pause, because accept(2) would fail again at once.
      connections_.evict();
      pause.expires_after(accept_pause);
      co_await pause.async_wait(tuple);
    }
  }
}

void Server::Implementation::admit(tcp::socket socket) {
  if (connections_.open >= limits_.connections) connections_.evict();
  auto& connection = connections_.add(std::move(socket), limits_);
  enter(connection, Phase::silent, limits_.header_timeout);
  asio::co_spawn(context_, serve(connection), asio::detached);
}

asio::awaitable<void> Server::Implementation::serve(
    Connection& connection) {  // NOLINT(cppcoreguidelines-avoid-reference-coroutine-parameters)
  while (co_await receive(connection)) {
    if (!co_await answer(connection)) break;
    auto wait = connection.pace.take_token(Clock::now());
    if (wait > Clock::duration::zero()) {
      ++delayed_;
      connection.pause.expires_after(wait);
      co_await connection.pause.async_wait(tuple);
    }
  }
  co_await leave(connection);
  connections_.forget(connection);
}

// Reads into `scratch_` without waiting. No error and no bytes: nothing has arrived.
error_code Server::Implementation::read_some(Connection& connection, std::string_view& bytes) {
  error_code error;
  bytes = {scratch_.data(), connection.socket.read_some(asio::buffer(scratch_), error)};
  if (error == asio::error::would_block || error == asio::error::interrupted) error = {};
  return error;
}

// True: a whole request has arrived. False: no more requests will come on this connection.
asio::awaitable<bool> Server::Implementation::receive(
    Connection& connection) {  // NOLINT(cppcoreguidelines-avoid-reference-coroutine-parameters)
  auto state = connection.reader.read({});
  // Bytes of the next request are already here: yield, so that a pipelining client does not delay the others.
  if (state != RequestReader::State::idle) co_await asio::post(tuple);
  for (;;) {
    if (!connection.socket.is_open()) co_return false;
    if (state == RequestReader::State::complete) co_return true;
    if (state == RequestReader::State::refused) {
      refuse(connection, connection.reader.refusal().status, connection.reader.refusal().why);
      co_return false;
    }
    note_progress(connection, state);
    auto [error] = co_await connection.socket.async_wait(tcp::socket::wait_read, tuple);
    std::string_view bytes;
    if (error || read_some(connection, bytes)) co_return false;
    if (!bytes.empty()) state = connection.reader.read(bytes);
  }
}

// A phase's timeout runs from its first byte; further bytes of the same phase do not extend it.
void Server::Implementation::note_progress(Connection& connection, RequestReader::State state) {
  if (state == RequestReader::State::header && connection.phase != Phase::header)
    enter(connection, Phase::header, limits_.header_timeout);
  if (state == RequestReader::State::body && connection.phase != Phase::body)
    enter(connection, Phase::body, limits_.body_timeout);
  if (connection.reader.continue_due()) {
    error_code ignored;
    connection.socket.write_some(asio::buffer(std::string_view("HTTP/1.1 100 Continue\r\n\r\n")), ignored);
  }
}

void Server::Implementation::refuse(Connection& connection, unsigned status, std::string_view why) {
  ++(status == 500 ? failures_ : refused_);
  error_code ignored;  // never waits: a refusal that does not fit into the socket's buffer is cut
  connection.socket.write_some(asio::buffer(refusal(status, why)), ignored);
}

std::optional<Response> Server::Implementation::call_handler(const Request& request) {
  try {
    return handler_(request);
  } catch (...) {
    return std::nullopt;
  }
}

// Waits for the response of a handler that answers later. The server reads nothing from the client meanwhile.
asio::awaitable<std::optional<Response>> Server::Implementation::await_later(
    Connection& connection,  // NOLINT(cppcoreguidelines-avoid-reference-coroutine-parameters)
    std::function<void(Reply)> later) {
  struct Awaited {
    explicit Awaited(asio::io_context& context) : timer(context) {}
    asio::steady_timer timer;
    std::optional<Response> response;
  };
  auto awaited = std::make_shared<Awaited>(context_);
  awaited->timer.expires_after(limits_.answer_timeout);
  enter(connection, Phase::waiting, limits_.answer_timeout + limits_.write_timeout);
  // The reply may be kept longer than the context lives. The timer must not, so the reply has only a weak pointer.
  const auto reply = [this, alive = std::weak_ptr(alive_), weak = std::weak_ptr(awaited)](Response response) {
    if (alive.expired()) return;
    asio::post(context_, [weak, response = std::move(response)]() mutable {
      const auto still = weak.lock();
      if (!still) return;
      still->response = std::move(response);
      still->timer.cancel();
    });
  };
  try {
    later(reply);
  } catch (...) {
    co_return std::nullopt;
  }
  co_await awaited->timer.async_wait(tuple);
  if (awaited->response) co_return std::move(awaited->response);
  Response late;
  late.status = 503;
  late.body = make_body("the response took too long\n");
  co_return late;
}

bool Server::Implementation::is_urgent(const Request& request) const {
  const auto& paths = limits_.urgent_paths;
  return std::find(paths.begin(), paths.end(), request.path) != paths.end();
}

// Whether one more response may be sent, if need be instead of one that is stalled.
bool Server::Implementation::make_room() {
  bool room = connections_.writing() < limits_.concurrent_requests && (!limits_.bodies || limits_.bodies->has_room(0));
  return room || connections_.evict_writing(Clock::now() + limits_.write_timeout - limits_.write_timeout / 10);
}

// True: the connection stays open for another request.
asio::awaitable<bool> Server::Implementation::answer(
    Connection& connection) {  // NOLINT(cppcoreguidelines-avoid-reference-coroutine-parameters)
  auto [request, keep_alive] = connection.reader.take_request();
  ++requests_;
  bool urgent = is_urgent(request);
  enter(connection, Phase::waiting, limits_.answer_timeout);
  co_await turns_.wait(connection, urgent);
  if (!connection.socket.is_open()) co_return false;
  if (!urgent && !make_room()) {
    refuse(connection, 503, "too many responses are being sent to slow clients");
    co_return false;
  }
  request.loopback = connection.loopback;
  auto response = call_handler(request);
  if (response && response->later) {
    response = co_await await_later(connection, std::move(response->later));
    if (!connection.socket.is_open()) co_return false;
  }
  auto after = !keep_alive ? After::close : request.http_1_0 ? After::keep_alive : After::open;
  auto head = response ? response_head(*response, after) : std::nullopt;
  if (!head) {
    refuse(connection, 500, response ? "the response has an invalid header field" : "the handler failed");
    co_return false;
  }
  bool bodiless = request.method == "HEAD" || response->status == 204 || response->status == 304 || !response->body;
  std::array<asio::const_buffer, 2> parts{asio::buffer(*head), {}};
  if (!bodiless) parts[1] = asio::buffer(*response->body);

  // Most responses fit into the socket's buffer and need no wait and no deadline.
  error_code error;
  auto written = connection.socket.write_some(parts, error);
  if (error && error != asio::error::would_block) co_return false;
  if (written < asio::buffer_size(parts)) {
    for (auto& part : parts) {
      auto size = part.size();
      part += written;
      written -= std::min(written, size);
    }
    connections_.writing(connection);
    enter(connection, Phase::writing, limits_.write_timeout);
    auto [failed, rest] = co_await asio::async_write(connection.socket, parts, tuple);
    if (failed || !connection.socket.is_open()) co_return false;
  }
  connections_.served(connection);
  enter(connection, Phase::idle, limits_.idle_timeout);
  co_return keep_alive;
}

// Closing while the client still sends would reset the connection, and the client's kernel could discard the response
// (RFC 9112 9.6). So the server stops sending and reads on until the client closes, within leave_timeout and
// leave_bytes.
asio::awaitable<void> Server::Implementation::leave(
    Connection& connection) {  // NOLINT(cppcoreguidelines-avoid-reference-coroutine-parameters)
  if (!connection.socket.is_open()) co_return;
  error_code ignored;
  connection.socket.shutdown(tcp::socket::shutdown_send, ignored);
  connections_.leaving(connection);
  enter(connection, Phase::leaving, leave_timeout);
  std::string_view bytes;
  for (std::size_t discarded = 0; discarded < leave_bytes; discarded += bytes.size()) {
    if (read_some(connection, bytes)) co_return;
    auto [error] = co_await connection.socket.async_wait(tcp::socket::wait_read, tuple);
    if (error) co_return;
  }
}

Server::Server(std::vector<std::string> listen_addresses, Limits limits, Handler handler)
    : implementation_(
          std::make_unique<Implementation>(std::move(listen_addresses), std::move(limits), std::move(handler))) {}
Server::~Server() {
  stop();
}

Result<void> Server::start() {
  return implementation_->start();
}
void Server::stop() {
  implementation_->stop();
}
Stats Server::stats() const {
  return implementation_->stats();
}
std::vector<std::string> Server::addresses() const {
  return implementation_->bound;
}

}  // namespace perjoule::http
