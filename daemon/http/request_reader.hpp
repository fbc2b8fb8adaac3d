// From bytes as they arrive to requests in order: pure, without sockets or clocks. The only home of Beast's parser.
//
// Holds at most `header_bytes` and what one `read` brought, and a body of `body_bytes`; nothing between two requests.
// One owner; any one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "daemon/http/message.hpp"

namespace perjoule::http {

class RequestReader {
 public:
  enum class State : std::uint8_t {
    idle,      // no byte of a next request yet
    header,    // its header is incomplete
    body,      // its body is
    complete,  // call take()
    refused,   // nothing after this can be understood: answer refusal() and close
  };

  // A request and what its framing says about the answer.
  struct Taken {
    Request request;  // `loopback` is left to the caller
    bool keep_alive = true;
    bool http_1_0 = false;
  };

  struct Refusal {
    unsigned status = 400;
    std::string why;
  };

  RequestReader(std::size_t header_bytes, std::size_t body_bytes);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  // Goes on with `bytes`, after those kept from before; stops behind one request. "" to use only those kept.
  State read(std::string_view bytes);

  [[nodiscard]] Taken take();                    // only when complete; the next read begins the next
  [[nodiscard]] const Refusal& refusal() const;  // only when refused
  // True once for each request that waits for "100 Continue" before it sends the body (RFC 9110 10.1.1).
  [[nodiscard]] bool continue_due();

 private:
  class Parser;
  State advance(std::string_view& bytes);

  std::size_t header_bytes_;
  std::size_t body_bytes_;
  std::string kept_;                // received and not yet understood
  std::unique_ptr<Parser> parser_;  // only while a request is being read
};

}  // namespace perjoule::http
