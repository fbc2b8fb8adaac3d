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
};

class ResponseReader {
 public:
  enum class State : std::uint8_t {
    incomplete,
    complete,  // call take_response()
    refused,   // not a usable response; see why()
  };

  ResponseReader(std::size_t head_bytes, std::size_t body_bytes);
  ~ResponseReader();
  ResponseReader(const ResponseReader&) = delete;
  ResponseReader& operator=(const ResponseReader&) = delete;

  // Parses `bytes`. Bytes after the response are ignored; interim responses (1xx) are skipped, at most eight of them.
  State read(std::string_view bytes);
  // To be called when the server has closed: completes a body without a length; anything else is cut short.
  State finish();

  [[nodiscard]] Answer take_response();                          // only when complete
  [[nodiscard]] const std::string& why() const { return why_; }  // only when refused

 private:
  class Parser;
  State advance(std::string_view& bytes);
  State refuse(std::string why);

  std::size_t head_bytes_;
  std::size_t body_bytes_;
  std::string kept_;  // received and not yet parsed
  std::unique_ptr<Parser> parser_;
  int interim_ = 0;
  std::string why_;
};

}  // namespace perjoule::http
