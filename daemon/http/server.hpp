// HTTP/1.1 server on a thread of its own (the web thread): keep-alive, pipelining in order, GET HEAD POST PUT.
//
// The handler runs on the web thread and must not block; what it throws is a 500. Every limit below is held per
// connection or over all, so that a slow, silent or hostile client costs the others nothing: when all connections are
// taken, the one that has been idle longest is closed for the new one. `stop` joins the thread within a second.
// Thread-safe: `stats`, `stop`.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/http/message.hpp"

namespace perjoule::http {

struct Limits {
  std::size_t header_bytes = 16 * 1024;  // longer: 431
  std::size_t body_bytes = 64 * 1024;    // longer: 413
  std::size_t connections = 256;         // more: the longest idle one is closed
  // More answers that clients are slow to take: one that has been stalled for a tenth of write_timeout is closed, and
  // where none has, the request gets 503 (--web.max-requests).
  std::size_t concurrent_requests = 40;
  // From the first byte of a request to the end of its header (408), and from the accept to the first byte.
  std::chrono::milliseconds header_timeout{5000};
  std::chrono::milliseconds body_timeout{5000};     // 408
  std::chrono::milliseconds write_timeout{10000};   // an answer that the client does not take
  std::chrono::milliseconds answer_timeout{30000};  // what a handler may take that answers later: 503
  std::chrono::milliseconds idle_timeout{120000};   // between two requests of a connection
  double requests_per_second = 50;  // per connection; faster ones are read later, not refused; 0: no limit
  double requests_burst = 100;
};

struct Stats {
  std::uint64_t connections_accepted = 0;
  std::uint64_t connections_evicted = 0;
  std::uint64_t connections_open = 0;
  std::uint64_t requests = 0;
  std::uint64_t requests_refused = 0;  // 4xx of the server itself (header, body, method) and 503
  std::uint64_t timeouts = 0;          // of header, body and write; an idle connection's end is none
  std::uint64_t requests_delayed = 0;  // held back by the rate
  std::uint64_t handler_failures = 0;  // the handler threw, or its answer had a field that HTTP cannot carry: 500
};

using Handler = std::function<Response(const Request&)>;

class Server {
 public:
  Server(std::vector<std::string> listen_addresses, Limits limits, Handler handler);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Binds every address ("127.0.0.1:10190", "[::1]:10190", "localhost:10190", ":10190" = all interfaces, port 0 = any
  // free one; "[::]:10190" is IPv6 only), then starts the thread. Once. An error names the address, and its remedy who
  // may hold it: broken (in use, not on this host, malformed) or denied (a port below 1024). A name may block on the
  // resolver.
  [[nodiscard]] Result<void> start();
  // Closes everything and joins. Safe to call again, from any thread but the handler's.
  void stop();
  [[nodiscard]] Stats stats() const;
  // The addresses in fact bound, as "127.0.0.1:10190".
  [[nodiscard]] std::vector<std::string> addresses() const;

 private:
  class Implementation;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace perjoule::http
