// HTTP/1.1 server on its own thread (the web thread): keep-alive, pipelining in order, GET HEAD POST PUT (RFC 9112).
//
// The handler runs on the web thread and must not block; an exception from it becomes a 500. The limits below hold per
// connection or for the whole server, so that slow, silent or hostile clients do not slow down the others: when all
// connections are in use, the one that has been idle longest is closed to admit a new one. Requests are answered one at
// a time, and between two of them the server accepts and reads: first those for urgent paths, then the one whose
// connection has waited longest since its last response (turns.hpp). `stop` joins the thread within a second. `stats`
// and `stop` are thread-safe; `start` is called once, `addresses` after it.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/http/body_budget.hpp"
#include "daemon/http/message.hpp"

namespace perjoule::http {

struct Limits {
  std::size_t header_bytes = 16 * 1024;  // longer: 431
  std::size_t body_bytes = 64 * 1024;    // longer: 413
  std::size_t connections = 256;         // more: the longest idle one is closed
  // Bodies that are not sent yet. Over it: a response that has been stalled for a tenth of write_timeout is closed to
  // make room; otherwise the new request gets 503. Null: no limit.
  std::shared_ptr<const BodyBudget> bodies = nullptr;
  // Requests for these paths are answered before all others.
  std::vector<std::string> urgent_paths = {};
  // Responses that are being written to slow clients (--web.max-requests). One more: a response that has been stalled
  // for a tenth of write_timeout is closed to make room; otherwise the new request gets 503.
  std::size_t concurrent_requests = 40;
  // From the first byte of a request to the end of its header (then 408), and from the accept to the first byte.
  std::chrono::milliseconds header_timeout{5000};
  std::chrono::milliseconds body_timeout{5000};     // then 408
  std::chrono::milliseconds write_timeout{10000};   // for a client to receive the whole response; then it is closed
  std::chrono::milliseconds answer_timeout{30000};  // for a handler that answers later (Response::later); then 503
  std::chrono::milliseconds idle_timeout{120000};   // between two requests of a connection
  double requests_per_second = 50;  // per connection; requests above the rate are delayed, not refused; 0: no limit
  double requests_burst = 100;
};

struct Stats {
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_evicted = 0;
  std::uint64_t connections_open = 0;
  std::uint64_t requests = 0;
  std::uint64_t requests_refused = 0;  // 4xx of the server itself (header, body, method) and 503
  std::uint64_t timeouts = 0;          // of header, body, answer and write; idle_timeout is not counted
  std::uint64_t requests_delayed = 0;  // by requests_per_second
  std::uint64_t handler_failures = 0;  // 500: the handler threw, or its response had an invalid header field
};

using Handler = std::function<Response(const Request&)>;

class Server {
 public:
  Server(std::vector<std::string> listen_addresses, Limits limits, Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds every address (listener.hpp says how they are written), then starts the thread. Call it once. May block on
  // the resolver if an address is a name. An error names the address and how to find the cause: broken (in use, not on
  // this host, malformed) or denied (a port below 1024).
  [[nodiscard]] Result<void> start();
  // Closes all connections and joins the thread. May be called again, and from any thread except the web thread.
  void stop();
  [[nodiscard]] Stats stats() const;
  // The addresses that were bound, with the actual ports, as "127.0.0.1:10190".
  [[nodiscard]] std::vector<std::string> addresses() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace perjoule::http
