#include "daemon/http/request_reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <optional>
#include <utility>

#include "config/text.hpp"
#include "daemon/http/host.hpp"
#include "daemon/http/target.hpp"

namespace perjoule::http {

namespace beast = boost::beast;

namespace {

constexpr std::string_view host_rule =
    "the Host is not valid: expected a name, an IPv4 address or an IPv6 address in brackets, and at most a port";

}  // namespace

// Keeps the few header fields that the routes use and drops the others, so a request needs no list of fields.
class RequestReader::Parser final : public beast::http::basic_parser<true> {
 public:
  using error_code = beast::error_code;
  using field = beast::http::field;
  using verb = beast::http::verb;

  Parser(std::size_t header_bytes, std::size_t body_bytes) {
    header_limit(static_cast<std::uint32_t>(std::min<std::size_t>(header_bytes, 1U << 30U)));
    body_limit(body_bytes);
  }

  void refuse(unsigned status, std::string_view why) { refusal = {status, std::string(why)}; }

  Taken taken;
  Refusal refusal;
  bool expects_continue = false;
  std::size_t header_size = 0;

 private:
  // Any error stops the parser; `refusal` has the response that it becomes.
  void refuse(unsigned status, std::string_view why, error_code& error) {
    refuse(status, why);
    error = beast::http::error::bad_value;
  }

  void on_request_impl(verb method, beast::string_view name, beast::string_view target, int version,
                       error_code& error) override {
    taken.request.http_1_0 = version == 10;
    taken.request.method.assign(name.data(), name.size());
    if (method != verb::get && method != verb::head && method != verb::post && method != verb::put)
      return refuse(405, "the supported methods are GET, HEAD, POST and PUT", error);
    auto decoded = decode_target({target.data(), target.size()});
    if (!decoded) return refuse(400, target_rule, error);
    taken.request.path = std::move(decoded->path);
    taken.request.query = std::move(decoded->query);
    taken.request.query_text = std::move(decoded->query_text);
    authority_ = std::move(decoded->authority);
  }

  void on_field_impl(field name, beast::string_view spelled, beast::string_view text, error_code& error) override {
    if (got_header_) return;  // a trailer adds nothing to the request
    note_forwarding({spelled.data(), spelled.size()});
    std::string_view value(text.data(), text.size());
    switch (name) {
      case field::accept:
        return append(taken.request.accept, value);
      case field::accept_encoding:
        return append(taken.request.accept_encoding, value);
      case field::content_type:
        return append(taken.request.content_type, value);
      case field::origin:
        return append(taken.request.origin, value);
      case field::host:
        ++hosts_;
        taken.request.host = value;
        return;
      case field::expect:
        if (!beast::iequals(text, "100-continue"))
          return refuse(417, "the only supported expectation is 100-continue", error);
        expects_continue = !taken.request.http_1_0;
        return;
      case field::transfer_encoding:
        // With any other coding the end of the body, and so the start of the next request, would be uncertain.
        if (taken.request.http_1_0) return refuse(400, "HTTP/1.0 does not allow Transfer-Encoding", error);
        if (!beast::iequals(text, "chunked"))
          return refuse(501, "the only supported Transfer-Encoding is chunked", error);
        return;
      default:
        // Not among Beast's names.
        if (beast::iequals(spelled, "Sec-Fetch-Site")) append(taken.request.fetch_site, value);
        return;
    }
  }

  void on_header_impl(error_code& error) override {
    got_header_ = true;
    if (hosts_ > 1 || (hosts_ == 0 && !taken.request.http_1_0))
      return refuse(400, "HTTP/1.1 requires exactly one Host field", error);
    if (!parse_host(taken.request.host)) return refuse(400, host_rule, error);
    // An absolute target has the host that counts (RFC 9112 3.2.2).
    if (authority_) taken.request.host = std::move(*authority_);
    if (!parse_host(taken.request.host)) return refuse(400, host_rule, error);
  }

  // Fields by which proxies say for whom they ask. No browser and no scraper sends them by itself.
  void note_forwarding(std::string_view name) {
    static constexpr std::array<std::string_view, 8> fields = {"forwarded",           "via",
                                                               "x-real-ip",           "x-client-ip",
                                                               "x-cluster-client-ip", "true-client-ip",
                                                               "cf-connecting-ip",    "x-original-forwarded-for"};
    if (!taken.request.forwarded.empty()) return;
    const auto is_name = [name](std::string_view other) { return text::equal_ignoring_case(name, other); };
    const std::string_view prefix = "x-forwarded-";
    if (text::equal_ignoring_case(name.substr(0, prefix.size()), prefix) ||
        std::any_of(fields.begin(), fields.end(), is_name))
      taken.request.forwarded = name;
  }

  std::size_t on_body_impl(beast::string_view part, error_code&) override {
    taken.request.body.append(part.data(), part.size());
    return part.size();
  }
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view part, error_code& error) override {
    return on_body_impl(part, error);
  }

  void on_response_impl(int, beast::string_view, int, error_code&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, error_code&) override {}
  void on_chunk_header_impl(std::uint64_t, beast::string_view, error_code&) override {}
  void on_finish_impl(error_code&) override {}

  static void append(std::string& list, std::string_view value) {
    if (!list.empty()) list += ", ";
    list += value;
  }

  bool got_header_ = false;
  int hosts_ = 0;
  std::optional<std::string> authority_;
};

RequestReader::RequestReader(std::size_t header_bytes, std::size_t body_bytes)
    : header_bytes_(header_bytes), body_bytes_(body_bytes) {}
RequestReader::~RequestReader() = default;

RequestReader::State RequestReader::read(std::string_view bytes) {
  if (kept_.empty()) {
    auto state = advance(bytes);
    kept_ = bytes;
    return state;
  }
  kept_ += bytes;
  std::string_view rest = kept_;
  auto state = advance(rest);
  if (rest.empty()) {
    std::string().swap(kept_);
  } else {
    kept_.erase(0, kept_.size() - rest.size());
  }
  return state;
}

// Parses from the front of `bytes` and leaves the bytes there that cannot be parsed yet.
RequestReader::State RequestReader::advance(std::string_view& bytes) {
  if (!parser_) {
    // Empty lines before a request are skipped (RFC 9112 2.2).
    bytes.remove_prefix(std::min(bytes.find_first_not_of("\r\n"), bytes.size()));
    if (bytes.empty()) return State::idle;
    parser_ = std::make_unique<Parser>(header_bytes_, body_bytes_);
  }
  boost::system::error_code error;
  while (!error && !bytes.empty() && !parser_->is_done()) {
    bool header = !parser_->is_header_done();
    auto used = parser_->put({bytes.data(), bytes.size()}, error);
    bytes.remove_prefix(used);
    // Beast limits the size of one field, not of the whole header.
    if (header) parser_->header_size += used;
    bool incomplete = !parser_->is_header_done() && parser_->header_size + bytes.size() >= header_bytes_;
    // A refusal of its own (a body that is announced too long) stands, however many bytes came with the header.
    const bool sound = !error || error == beast::http::error::need_more;
    if (header && sound && (incomplete || parser_->header_size > header_bytes_))
      error = beast::http::error::header_limit;
  }
  // While a body is read, only chunk extensions or trailers can leave this many bytes unparsed.
  if (error == beast::http::error::need_more && parser_->is_header_done() && !parser_->is_done() &&
      bytes.size() >= header_bytes_)
    error = beast::http::error::header_limit;
  if (!error || error == beast::http::error::need_more) {
    if (parser_->is_done()) return State::complete;
    return parser_->is_header_done() ? State::body : State::header;
  }
  if (error == beast::http::error::header_limit) {
    parser_->refuse(431, fmt::format("the header, a trailer or a chunk extension exceeds {} bytes", header_bytes_));
  } else if (error == beast::http::error::body_limit) {
    parser_->refuse(413, fmt::format("the body is longer than {} bytes", body_bytes_));
  } else if (error == beast::http::error::bad_version) {
    parser_->refuse(505, "the supported versions are HTTP/1.0 and HTTP/1.1");
  } else if (parser_->refusal.why.empty()) {
    parser_->refuse(400, fmt::format("not an HTTP/1.1 request: {}", error.message()));
  }
  bytes = {};
  return State::refused;
}

RequestReader::Taken RequestReader::take_request() {
  auto taken = std::move(parser_->taken);
  taken.keep_alive = parser_->keep_alive();
  parser_.reset();
  return taken;
}

const RequestReader::Refusal& RequestReader::refusal() const {
  return parser_->refusal;
}

bool RequestReader::continue_due() {
  return parser_ && parser_->is_header_done() && std::exchange(parser_->expects_continue, false);
}

}  // namespace perjoule::http
