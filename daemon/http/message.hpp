// A request and its response as plain values, for the routes; independent of Asio and Beast. Values only; any thread.
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
  std::string path;                                        // decoded but for %2F, without the query
  std::vector<std::pair<std::string, std::string>> query;  // decoded, in order, names may repeat
  std::string query_text;                                  // the same as received
  std::string accept;                                      // header values; "" when absent
  std::string accept_encoding;
  std::string content_type;
  std::string host;  // the Host field, or the authority of an absolute target; "" when absent (HTTP/1.0)
  std::string origin;
  std::string fetch_site;  // Sec-Fetch-Site
  std::string forwarded;   // name of the first field that only proxies add (Via, X-Forwarded-For, ..)
  std::string body;
  bool http_1_0 = false;
  bool loopback = false;  // the peer's address is 127.0.0.0/8, ::1 or a local socket
};

struct Response;
using Reply = std::function<void(Response)>;

struct Response {
  unsigned status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string content_encoding;  // "gzip" when `body` is compressed
  std::vector<std::pair<std::string, std::string>> headers;
  std::shared_ptr<const std::string> body;  // may be shared with other responses of the same content; null = empty
  // When set, the members above are ignored and the response comes later: the server calls this function once, on the
  // web thread, with a Reply that takes one Response. The Reply may be called on any thread while the server exists; on
  // the thread that destroys the server also afterwards, without effect. No call within Limits::answer_timeout: 503. An
  // exception from this function becomes a 500, like one from the handler.
  std::function<void(Reply)> later;
};

inline std::shared_ptr<const std::string> make_body(std::string text) {
  return std::make_shared<const std::string>(std::move(text));
}

}  // namespace perjoule::http
