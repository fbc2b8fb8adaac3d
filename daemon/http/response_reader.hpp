// Parses the response to one GET or POST (RFC 9112) from bytes as they arrive. Pure: no sockets, no clocks. One owner;
// any one thread.
//
// Buffers at most `head_bytes` plus the bytes of one read(), and a body of `body_bytes`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace perjoule::http {

struct Answer {
  unsigned status = 0;
  std::string content_type;
  std::string body;
  std::string retry_after;  // the header fields as they came; "": there was none
  std::string date;
  std::string excerpt;  // of the body, for a log line; filled in by the client unless the status is 2xx
};

class ResponseReader {
 public:
  enum class State : std::uint8_t {
    incomplete,
    complete,  // call take_response()
    refused,   // not a usable response; see why()
  };

  enum class Kind : std::uint8_t {
    request,  // the response to a GET or POST
    connect,  // to a CONNECT: ends with its header
  };
  enum class Limit : std::uint8_t { none, head, body };

  ResponseReader(std::size_t head_bytes, std::size_t body_bytes, Kind kind = Kind::request);
  ~ResponseReader();
  ResponseReader(const ResponseReader&) = delete;
  ResponseReader& operator=(const ResponseReader&) = delete;

  // Parses `bytes`. Bytes after the response are surplus; interim responses (1xx) are skipped, at most eight of them.
  State read(std::string_view bytes);
  // To be called when the server has closed: completes a body without a length; anything else is cut short.
  State finish();

  [[nodiscard]] Answer take_response();                          // only when complete
  [[nodiscard]] const std::string& why() const { return why_; }  // only when refused
  [[nodiscard]] Limit limit() const { return limit_; }           // that a refused response exceeded
  [[nodiscard]] bool started() const { return started_; }        // a byte has come
  [[nodiscard]] bool surplus() const { return !kept_.empty(); }  // only when complete
  // Only when complete: the connection can carry another request.
  [[nodiscard]] bool reusable() const;

 private:
  class Parser;
  State advance(std::string_view& bytes);
  State refuse(std::string why);

  std::size_t head_bytes_;
  std::size_t body_bytes_;
  std::string kept_;  // received and not yet parsed
  std::unique_ptr<Parser> parser_;
  Kind kind_;
  Limit limit_ = Limit::none;
  bool started_ = false;
  int interim_ = 0;
  std::string why_;
};

}  // namespace perjoule::http
