// A request and its answer as plain values: what the routes see of HTTP. No library shows here.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace perjoule::http {

struct Request {
  std::string method;                                      // "GET"
  std::string path;                                        // decoded, without the query
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order, names may repeat
  std::string accept;                                      // header values; "" when absent
  std::string accept_encoding;
  std::string host;  // as the client named this server; "" from HTTP/1.0
  std::string body;
  bool loopback = false;  // the peer's address is 127.0.0.0/8, ::1 or a local socket
};

struct Response;
using Reply = std::function<void(Response)>;

struct Response {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string content_encoding;  // "gzip" when `body` is compressed
  std::vector<std::pair<std::string, std::string>> headers;
  std::shared_ptr<const std::string> body;  // shared with every other answer of the same content; null = empty
  // When set, nothing above counts, and the answer comes later: the server calls this once, on the web thread, with
  // what takes the answer, once. A Reply may be called on any thread while the server lives, and on the one that
  // destroys it at any time. None within Limits::answer_timeout: 503. What it throws is a 500, as the handler's.
  std::function<void(Reply)> later;
};

inline std::shared_ptr<const std::string> make_body(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

}  // namespace perjoule::http
