// From bytes as they arrive to one answer: pure, without sockets or clocks. Reads what a server sends to a GET or POST.
//
// Holds at most `head_bytes` that are not yet understood, and a body of `body_bytes`. One owner; any one thread.
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
    complete,  // call take()
    refused,   // why() says it
  };

  ResponseReader(std::size_t head_bytes, std::size_t body_bytes);
  ~ResponseReader();
  ResponseReader(const ResponseReader&) = delete;
  ResponseReader& operator=(const ResponseReader&) = delete;

  // Goes on with `bytes`. What comes behind the answer is not looked at; interim answers (1xx) are passed over, at most
  // eight of them.
  State read(std::string_view bytes);
  // The server has closed: the end of a body that names no length, else too early.
  State finish();

  [[nodiscard]] Answer take();                                   // only when complete
  [[nodiscard]] const std::string& why() const { return why_; }  // only when refused

 private:
  class Parser;
  State advance(std::string_view& bytes);
  State refuse(std::string why);

  std::size_t head_bytes_;
  std::size_t body_bytes_;
  std::string kept_;  // received and not yet understood
  std::unique_ptr<Parser> parser_;
  int interim_ = 0;
  std::string why_;
};

}  // namespace perjoule::http
