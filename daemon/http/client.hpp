// Outgoing HTTP/1.1: one request on a connection of its own, answered within a deadline or not at all.
//
// Nothing blocks the thread of `context`, on which everything here runs: a name is looked up on a lane of its own, for
// the resolver may hang, and sockets are asynchronous. OpenSSL reads the system's certificates from disk at the first
// handshake. TLS 1.2 or newer; the server's certificate and name are verified against the system's authorities
// (SSL_CERT_FILE and SSL_CERT_DIR move them). Redirects are not followed, proxies not used, nothing is compressed.
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
  std::vector<std::pair<std::string, std::string>> headers;  // beside Host, User-Agent, Connection, Content-Length
  std::string body;
  std::chrono::milliseconds deadline{10'000};  // for all of it, from the lookup to the last byte
  std::size_t head_bytes = 16 * 1024;          // of the answer
  std::size_t body_bytes = 1024 * 1024;        // of the answer
};

struct ClientOptions {
  MakeLane make_lane;
  std::string agent = "perjouled";
  std::string authorities;  // PEM certificates that are trusted beside the system's
};

class ClientCore;

class Client {
 public:
  Client(asio::io_context& context, ClientOptions options);
  // Calls in flight end with an error as soon as the context runs again.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Any status is an answer. Errors: broken (the URL, a header, the certificate), timeout (the deadline), transient
  // (everything that may be well the next time: name, connection, an answer that is cut short, too long or no HTTP).
  [[nodiscard]] asio::awaitable<Result<Answer>> fetch(Call call);
  // Ends every call in flight with an error.
  void cancel();

 private:
  std::shared_ptr<ClientCore> core_;
};

}  // namespace perjoule::http
