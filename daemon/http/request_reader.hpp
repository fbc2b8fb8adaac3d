// Parses HTTP/1.1 requests (RFC 9112) from bytes as they arrive, in order. Pure: no sockets, no clocks. Together with
// response_reader the only user of Beast's parser. One owner; any one thread.
//
// Buffers at most `header_bytes` plus the bytes of one read(), and a body of `body_bytes`; nothing between requests.
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
    idle,      // no byte of the next request yet
    header,    // its header is incomplete
    body,      // its body is incomplete
    complete,  // call take_request()
    refused,   // the rest of the stream cannot be parsed: send refusal() and close
  };

  // A request, and what it requires of the response.
  struct Taken {
    Request request;  // the caller sets `loopback`
    bool keep_alive = true;
  };

  struct Refusal {
    unsigned status = 400;
    std::string why;
  };

  RequestReader(std::size_t header_bytes, std::size_t body_bytes);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  // Parses the buffered bytes and then `bytes`, up to the end of one request; "" parses only the buffered ones.
  State read(std::string_view bytes);

  [[nodiscard]] Taken take_request();            // only when complete; the next read begins the next
  [[nodiscard]] const Refusal& refusal() const;  // only when refused
  // True once for each request that waits for "100 Continue" before it sends the body (RFC 9110 10.1.1).
  [[nodiscard]] bool continue_due();

 private:
  class Parser;
  State advance(std::string_view& bytes);

  std::size_t header_bytes_;
  std::size_t body_bytes_;
  std::string kept_;                // received and not yet parsed
  std::unique_ptr<Parser> parser_;  // only while a request is being read
};

}  // namespace perjoule::http
