// HTTP/1.1 client for receivers of alerts and other servers that the daemon asks. Used on the thread of `context` only,
// and never blocks it: sockets are asynchronous, names are looked up and files are read on lanes.
//
// A call has one deadline. Connections are kept and used again (pool.hpp). If a kept one fails before the first byte of
// its response, the call is sent once more, on a new connection: the server had closed it, or restarted. TLS 1.2 or
// newer; certificates and names are verified (tls_handshake.hpp). Through a proxy, a request for http is sent in
// absolute form, and https is encrypted to the server, through CONNECT (RFC 9110 9.3.6, RFC 9112 3.2.2). Proxies of the
// environment are not used. No redirects, no compression.
//
// Secrets of `Call::access` are in no error; in Answer::excerpt they are "***".
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "collectors/result.hpp"
#include "config/http_access.hpp"
#include "daemon/base/lane.hpp"
#include "daemon/http/pool.hpp"
#include "daemon/http/response_reader.hpp"

namespace perjoule::http {

struct Call {
  std::string method = "GET";
  std::string url;                                           // config/url.hpp
  std::vector<std::pair<std::string, std::string>> headers;  // besides Host, User-Agent, Connection, Content-Length
  std::string body;
  config::HttpAccess access;
  std::chrono::milliseconds deadline{10'000};  // for the whole call, from the lookup to the last byte
  std::size_t head_bytes = 16 * 1024;          // largest response header
  std::size_t body_bytes = 1024 * 1024;        // largest response body
};

struct ClientOptions {
  MakeLane make_lane;
  std::string agent = "perjouled";
  PoolLimits pool = {};
  std::chrono::milliseconds recheck_files{1'000};  // keyring.hpp
};

// Counts since the client was made.
struct ClientCounts {
  std::uint64_t connected = 0;  // new connections
  std::uint64_t retried = 0;    // calls that were sent a second time
  std::uint64_t long_heads = 0;
  std::uint64_t long_bodies = 0;
  std::uint64_t long_files = 0;
  std::uint64_t waited_lookups = 0;
  std::size_t kept = 0;  // connections now
  PoolCounts pool;
};

class ClientCore;

class Client {
 public:
  Client(asio::io_context& context, ClientOptions options);
  // Cancels the calls in flight; each ends with an error as soon as the context runs.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // A response with any status is a success. Errors: broken (invalid URL or header, a file that cannot be used,
  // certificate not trusted), denied and absent (of a file), timeout (the deadline), transient (may work the next time:
  // lookup, connection, proxy, a response that is cut short, too long or not HTTP).
  [[nodiscard]] asio::awaitable<Result<Answer>> fetch(Call call);
  // Reads the files of `access` (and, for https, the host's authorities) before they are needed. The error is that
  // which fetch() would return.
  [[nodiscard]] asio::awaitable<Result<void>> prepare(std::string url, config::HttpAccess access);
  // Ends all calls in flight with an error, and closes the kept connections.
  void cancel();
  [[nodiscard]] ClientCounts counts() const;

 private:
  std::shared_ptr<ClientCore> core_;
};

}  // namespace perjoule::http
