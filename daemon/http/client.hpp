// HTTP/1.1 client: each request has its own connection and one deadline. Used on the thread of `context` only.
//
// Sockets are asynchronous; a name is looked up on a lane, because the resolver may hang. One exception blocks that
// thread: OpenSSL reads the system's certificates from disk at the first handshake. TLS 1.2 or newer; the server's
// certificate and name are verified against the system's authorities (SSL_CERT_FILE and SSL_CERT_DIR override their
// place). No redirects, no proxies, no compression.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "collectors/result.hpp"
#include "daemon/base/lane.hpp"
#include "daemon/http/response_reader.hpp"

namespace perjoule::http {

struct Call {
  std::string method = "GET";
  std::string url;                                           // daemon/http/url.hpp
  std::vector<std::pair<std::string, std::string>> headers;  // besides Host, User-Agent, Connection, Content-Length
  std::string body;
  std::chrono::milliseconds deadline{10'000};  // for the whole call, from the lookup to the last byte
  std::size_t head_bytes = 16 * 1024;          // largest response header
  std::size_t body_bytes = 1024 * 1024;        // largest response body
};

struct ClientOptions {
  MakeLane make_lane;
  std::string agent = "perjouled";
  std::string authorities;  // PEM certificates that are trusted in addition to the system's
};

class ClientCore;

class Client {
 public:
  Client(asio::io_context& context, ClientOptions options);
  // Cancels the calls in flight; each ends with an error as soon as the context runs.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // A response with any status is a success. Errors: broken (invalid URL or header, certificate not trusted), timeout
  // (the deadline), transient (may work the next time: lookup, connection, a response that is cut short, too long or
  // not HTTP).
  [[nodiscard]] asio::awaitable<Result<Answer>> fetch(Call call);
  // Ends all calls in flight with an error.
  void cancel();

 private:
  std::shared_ptr<ClientCore> core_;
};

}  // namespace perjoule::http
