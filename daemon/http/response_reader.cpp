#include "daemon/http/response_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <utility>

namespace perjoule::http {

namespace beast = boost::beast;

namespace {
constexpr int interim_max = 8;
}

class ResponseReader::Parser final : public beast::http::basic_parser<false> {
 public:
  using error_code = beast::error_code;
  using field = beast::http::field;

  Parser(std::size_t head_bytes, std::size_t body_bytes, Kind kind) {
    skip(kind == Kind::connect);
    header_limit(static_cast<std::uint32_t>(std::min<std::size_t>(head_bytes, 1U << 30U)));
    body_limit(body_bytes);
  }

  Answer answer;
  std::size_t head_size = 0;
  const char* refusal = nullptr;

 private:
  void on_response_impl(int status, beast::string_view, int, error_code&) override {
    answer.status = static_cast<unsigned>(status);
  }
  void on_field_impl(field name, beast::string_view, beast::string_view value, error_code& error) override {
    if (got_header_) return;  // a trailer adds nothing
    if (name == field::content_type) answer.content_type.assign(value.data(), value.size());
    if (name == field::retry_after) answer.retry_after.assign(value.data(), value.size());
    if (name == field::date) answer.date.assign(value.data(), value.size());
    if (name == field::transfer_encoding && !beast::iequals(value, "chunked")) {
      refusal = "unsupported Transfer-Encoding: only chunked is supported";
      error = beast::http::error::bad_transfer_encoding;
    }
  }
  void on_header_impl(error_code&) override { got_header_ = true; }
  std::size_t on_body_impl(beast::string_view part, error_code&) override {
    answer.body.append(part.data(), part.size());
    return part.size();
  }
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view part, error_code& error) override {
    return on_body_impl(part, error);
  }
  void on_request_impl(beast::http::verb, beast::string_view, beast::string_view, int, error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  void on_chunk_header_impl(std::uint64_t, beast::string_view, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  bool got_header_ = false;
};

ResponseReader::ResponseReader(std::size_t head_bytes, std::size_t body_bytes, Kind kind)
    : head_bytes_(head_bytes),
      body_bytes_(body_bytes),
      parser_(std::make_unique<Parser>(head_bytes, body_bytes, kind)),
      kind_(kind) {}
ResponseReader::~ResponseReader() = default;

ResponseReader::State ResponseReader::refuse(std::string why) {
  why_ = std::move(why);
  return State::refused;
}

ResponseReader::State ResponseReader::read(std::string_view bytes) {
  kept_ += bytes;
  started_ = started_ || !bytes.empty();
  std::string_view rest = kept_;
  State state = advance(rest);
  while (state == State::complete && parser_->answer.status / 100 == 1) {
    if (parser_->answer.status == 101 || ++interim_ > interim_max)
      return refuse("the server switched protocols (101) or sent too many interim responses (1xx)");
    parser_ = std::make_unique<Parser>(head_bytes_, body_bytes_, kind_);
    state = advance(rest);
  }
  kept_.erase(0, kept_.size() - rest.size());
  return state;
}

// Parses from the front of `bytes` and leaves the bytes there that cannot be parsed yet.
ResponseReader::State ResponseReader::advance(std::string_view& bytes) {
  Parser& parser = *parser_;
  boost::system::error_code error;
  while (!error && !bytes.empty() && !parser.is_done()) {
    const bool head = !parser.is_header_done();
    const std::size_t used = parser.put({bytes.data(), bytes.size()}, error);
    bytes.remove_prefix(used);
    if (!head) continue;
    // Beast limits the size of one field, not of the whole header.
    parser.head_size += used;
    const bool incomplete = !parser.is_header_done() && parser.head_size + bytes.size() >= head_bytes_;
    if (incomplete || parser.head_size > head_bytes_) error = beast::http::error::header_limit;
  }
  const bool waits = !error || error == beast::http::error::need_more;
  // While a body is read, only chunk extensions or trailers can leave this many bytes unparsed.
  if (waits && !parser.is_done() && bytes.size() >= head_bytes_) error = beast::http::error::header_limit;
  if (error && error != beast::http::error::need_more) {
    if (error == beast::http::error::header_limit) limit_ = Limit::head;
    if (error == beast::http::error::body_limit) limit_ = Limit::body;
    if (limit_ == Limit::head) return refuse(fmt::format("the response header is longer than {} bytes", head_bytes_));
    if (limit_ == Limit::body) return refuse(fmt::format("the response body is longer than {} bytes", body_bytes_));
    return refuse(parser.refusal != nullptr ? parser.refusal : "not an HTTP response: " + error.message());
  }
  return parser.is_done() ? State::complete : State::incomplete;
}

ResponseReader::State ResponseReader::finish() {
  boost::system::error_code error;
  if (parser_->got_some()) parser_->put_eof(error);
  if (!error && parser_->is_done()) return State::complete;
  return refuse("the server closed the connection before its response was complete");
}

bool ResponseReader::reusable() const {
  return kind_ == Kind::request && parser_->keep_alive() && !parser_->need_eof() && !surplus();
}

Answer ResponseReader::take_response() {
  return std::move(parser_->answer);
}

}  // namespace perjoule::http
