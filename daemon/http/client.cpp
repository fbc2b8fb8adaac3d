#include "daemon/http/client.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <optional>
#include <string_view>

#include "daemon/http/url.hpp"

namespace perjoule::http {

namespace {

using boost::system::error_code;
using Endpoints = std::vector<asio::ip::tcp::endpoint>;
using Steady = std::chrono::steady_clock;

constexpr std::size_t addresses_max = 8;
constexpr int lookups_max = 8;  // lookups that have not returned: each holds a thread
constexpr std::size_t read_bytes = 8 * 1024;

struct Lookup {
  Endpoints endpoints;
  std::string error;
  bool done = false;  // used on the loop's thread only
};

// Runs on a lane: getaddrinfo(3) may block without limit.
void look_up(Lookup& lookup, const std::string& host, const std::string& port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV;
  addrinfo* list = nullptr;
  if (const int code = getaddrinfo(host.c_str(), port.c_str(), &hints, &list); code != 0) {
    lookup.error = gai_strerror(code);
    return;
  }
  for (const addrinfo* entry = list; entry != nullptr && lookup.endpoints.size() < addresses_max;
       entry = entry->ai_next) {
    asio::ip::tcp::endpoint endpoint;
    if (entry->ai_addrlen > endpoint.capacity()) continue;
    std::copy_n(reinterpret_cast<const char*>(entry->ai_addr), entry->ai_addrlen,
                reinterpret_cast<char*>(endpoint.data()));
    endpoint.resize(entry->ai_addrlen);
    lookup.endpoints.push_back(endpoint);
  }
  freeaddrinfo(list);
  if (lookup.endpoints.empty()) lookup.error = "the name has no usable address";
}

bool is_field(const std::pair<std::string, std::string>& header) {
  const auto token = [](char c) { return c > ' ' && c < '\x7F' && c != ':'; };
  const auto text = [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != '\x7F'; };
  return !header.first.empty() && std::all_of(header.first.begin(), header.first.end(), token) &&
         std::all_of(header.second.begin(), header.second.end(), text);
}

std::string request_text(const Call& call, const Url& url, const std::string& agent) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\nConnection: close\r\n", call.method,
                                 url.target, url.authority(), agent);
  for (const auto& [name, value] : call.headers)
    text += fmt::format("{}: {}\r\n", name, value);
  if (!call.body.empty() || call.method != "GET") text += fmt::format("Content-Length: {}\r\n", call.body.size());
  return text + "\r\n" + call.body;
}

// The connection of one call, owned by the call's coroutine. The timer and cancel() only close the socket; the
// coroutine then ends with an error, or is never resumed if the loop has ended.
class Exchange : public std::enable_shared_from_this<Exchange> {
 public:
  explicit Exchange(asio::io_context& context) : socket(context), wake(context), timer_(context) {}

  void arm(Steady::time_point until) {
    expired_ = false;
    timer_.expires_at(until);
    timer_.async_wait([weak = weak_from_this()](const error_code& error) {
      const std::shared_ptr<Exchange> self = weak.lock();
      if (error || !self || self->timer_.expiry() > Steady::now()) return;
      self->expired_ = true;
      self->close();
    });
  }
  void cancel() {
    cancelled_ = true;
    close();
  }
  [[nodiscard]] bool ended() const { return cancelled_ || expired_; }
  [[nodiscard]] bool cancelled() const { return cancelled_; }

  [[nodiscard]] Error failure(std::string_view doing, std::string_view what) const {
    if (cancelled_) return {Fault::transient, "cancelled"};
    if (expired_) return {Fault::timeout, fmt::format("{}: no answer in time", doing)};
    return {Fault::transient, fmt::format("{}: {}", doing, what)};
  }

  asio::awaitable<std::size_t> read(asio::mutable_buffer into, std::shared_ptr<error_code> error) {
    auto token = asio::redirect_error(asio::use_awaitable, *error);
    if (tls) co_return co_await tls->async_read_some(into, token);
    co_return co_await socket.async_read_some(into, token);
  }
  asio::awaitable<std::size_t> write(asio::const_buffer from, std::shared_ptr<error_code> error) {
    auto token = asio::redirect_error(asio::use_awaitable, *error);
    if (tls) co_return co_await asio::async_write(*tls, from, token);
    co_return co_await asio::async_write(socket, from, token);
  }

  asio::ip::tcp::socket socket;
  std::unique_ptr<Lane> lane;  // of a lookup in progress
  asio::steady_timer wake;     // cancelled to end the wait for the lookup
  std::optional<asio::ssl::stream<asio::ip::tcp::socket&>> tls;

 private:
  void close() {
    error_code ignored;
    socket.close(ignored);
    lane.reset();
    wake.cancel();
  }

  asio::steady_timer timer_;
  bool expired_ = false;
  bool cancelled_ = false;
};

}  // namespace

class ClientCore {
 public:
  ClientCore(asio::io_context& io, ClientOptions chosen) : context(io), options(std::move(chosen)) {}

  asio::io_context& context;
  ClientOptions options;
  std::optional<asio::ssl::context> tls;
  std::vector<std::weak_ptr<Exchange>> exchanges;
  // Lookups that have not returned, including those whose call has ended.
  std::shared_ptr<std::atomic<int>> lookups = std::make_shared<std::atomic<int>>(0);

  asio::ssl::context& tls_context() {
    if (tls) return *tls;
    tls.emplace(asio::ssl::context::tls_client);
    error_code ignored;  // if the authorities cannot be read, the handshake rejects every certificate with an error
    tls->set_options(asio::ssl::context::default_workarounds | asio::ssl::context::no_sslv2 |
                         asio::ssl::context::no_sslv3 | asio::ssl::context::no_tlsv1 | asio::ssl::context::no_tlsv1_1,
                     ignored);
    tls->set_default_verify_paths(ignored);
    if (!options.authorities.empty()) tls->add_certificate_authority(asio::buffer(options.authorities), ignored);
    tls->set_verify_mode(asio::ssl::verify_peer, ignored);
    return *tls;
  }
};

namespace {

// Looks the host up on a lane, unless `url` has a numeric address.
asio::awaitable<Result<Endpoints>> find_endpoints(std::shared_ptr<ClientCore> core, std::shared_ptr<Exchange> exchange,
                                                  Url url) {
  error_code not_numeric;
  const asio::ip::address address = asio::ip::make_address(url.host, not_numeric);
  if (!not_numeric) co_return Endpoints{{address, static_cast<std::uint16_t>(std::stoul(url.port))}};
  if (*core->lookups >= lookups_max)
    co_return Error{Fault::transient,
                    fmt::format("looking up {}: {} earlier lookups have not returned", url.host, lookups_max)};
  const auto lookup = std::make_shared<Lookup>();
  exchange->lane = core->options.make_lane();
  ++*core->lookups;
  const std::shared_ptr<void> slot(nullptr, [lookups = core->lookups](void*) { --*lookups; });
  const std::function<void()> work = [lookup, host = url.host, port = url.port, slot] { look_up(*lookup, host, port); };
  // Only a weak pointer: a lookup that never returns must not keep a socket alive beyond the loop.
  const std::function<void()> done = [lookup, weak = std::weak_ptr(exchange)] {
    lookup->done = true;
    if (const auto waiting = weak.lock()) waiting->wake.cancel();
  };
  if (!exchange->lane->start(work, done)) co_return thread_error();
  while (!lookup->done && !exchange->ended()) {
    error_code ignored;
    exchange->wake.expires_at(Steady::time_point::max());
    co_await exchange->wake.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  }
  exchange->lane.reset();
  if (!lookup->done || exchange->ended()) co_return exchange->failure("looking up " + url.host, "");
  if (lookup->endpoints.empty()) co_return exchange->failure("looking up " + url.host, lookup->error);
  co_return lookup->endpoints;
}

// Tries one address after another; each gets an equal share of the remaining time.
asio::awaitable<Result<void>> connect(std::shared_ptr<Exchange> exchange, Endpoints endpoints,
                                      Steady::time_point deadline, std::string where) {
  error_code error;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    const Steady::time_point now = Steady::now();
    exchange->arm(now + (deadline - now) / static_cast<std::int64_t>(endpoints.size() - i));
    co_await exchange->socket.async_connect(endpoints[i], asio::redirect_error(asio::use_awaitable, error));
    if (!error && !exchange->ended()) co_return Result<void>{};
    if (exchange->cancelled()) break;
    error_code ignored;
    exchange->socket.close(ignored);
  }
  co_return exchange->failure("connecting to " + where, error.message());
}

asio::awaitable<Result<void>> shake_hands(std::shared_ptr<Exchange> exchange, asio::ssl::context* context,
                                          std::string host, std::string where) {
  auto& tls = exchange->tls.emplace(exchange->socket, *context);
  error_code error;
  error_code numeric;
  asio::ip::make_address(host, numeric);
  // Server Name Indication: the server chooses its certificate by this name; addresses are not sent (RFC 6066 3).
  if (numeric) SSL_ctrl(tls.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, host.data());
  tls.set_verify_callback(asio::ssl::host_name_verification(host), error);
  co_await tls.async_handshake(asio::ssl::stream_base::client, asio::redirect_error(asio::use_awaitable, error));
  if (!error && !exchange->ended()) co_return Result<void>{};
  const long verdict = SSL_get_verify_result(tls.native_handle());
  if (verdict == X509_V_OK || exchange->ended()) co_return exchange->failure("TLS with " + where, error.message());
  co_return Error{Fault::broken, fmt::format("TLS with {}: {}", where, X509_verify_cert_error_string(verdict)),
                  "the server needs a certificate for this name from an authority that this host trusts"};
}

asio::awaitable<Result<Answer>> converse(std::shared_ptr<Exchange> exchange, std::string request,
                                         std::shared_ptr<ResponseReader> reader, std::string where) {
  const auto error = std::make_shared<error_code>();
  co_await exchange->write(asio::buffer(request), error);
  // A server may respond and close before it has read the whole request, so the response is read despite a write error.
  const std::string unsent = *error ? error->message() : "";
  std::array<char, read_bytes> bytes{};
  for (;;) {
    *error = {};
    const std::size_t size = co_await exchange->read(asio::buffer(bytes), error);
    if (exchange->ended()) co_return exchange->failure(where, "");
    if (*error && *error != asio::error::eof)
      co_return exchange->failure(where, unsent.empty() ? error->message() : unsent);
    const auto state = *error ? reader->finish() : reader->read({bytes.data(), size});
    if (state == ResponseReader::State::complete) co_return reader->take_response();
    if (state == ResponseReader::State::refused) co_return exchange->failure(where, reader->why());
  }
}

asio::awaitable<Result<Answer>> run(std::shared_ptr<ClientCore> core, std::shared_ptr<Exchange> exchange, Call call) {
  const Result<Url> url = parse_url(call.url);
  if (!url) co_return url.error();
  if (!std::all_of(call.headers.begin(), call.headers.end(), is_field))
    co_return Error{Fault::broken, "a request header has an invalid name or value"};
  const Steady::time_point deadline = Steady::now() + call.deadline;
  const std::string where = url->authority();
  exchange->arm(deadline);
  const Result<Endpoints> endpoints = co_await find_endpoints(core, exchange, *url);
  if (!endpoints) co_return endpoints.error();
  const Result<void> connected = co_await connect(exchange, *endpoints, deadline, where);
  if (!connected) co_return connected.error();
  exchange->arm(deadline);
  if (url->tls) {
    const Result<void> trusted = co_await shake_hands(exchange, &core->tls_context(), url->host, where);
    if (!trusted) co_return trusted.error();
  }
  const auto reader = std::make_shared<ResponseReader>(call.head_bytes, call.body_bytes);
  co_return co_await converse(exchange, request_text(call, *url, core->options.agent), reader, where);
}

}  // namespace

Client::Client(asio::io_context& context, ClientOptions options)
    : core_(std::make_shared<ClientCore>(context, std::move(options))) {}

// clang-tidy assumes that cancel() of a timer may throw; in practice it does not.
Client::~Client() {  // NOLINT(bugprone-exception-escape)
  cancel();
}

void Client::cancel() {
  for (const std::weak_ptr<Exchange>& weak : core_->exchanges) {
    if (const std::shared_ptr<Exchange> exchange = weak.lock()) exchange->cancel();
  }
  core_->exchanges.clear();
}

asio::awaitable<Result<Answer>> Client::fetch(Call call) {
  std::erase_if(core_->exchanges, [](const std::weak_ptr<Exchange>& weak) { return weak.expired(); });
  const auto exchange = std::make_shared<Exchange>(core_->context);
  core_->exchanges.push_back(exchange);
  return run(core_, exchange, std::move(call));
}

}  // namespace perjoule::http
