#include "daemon/http/client.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <string_view>

#include "config/url.hpp"
#include "daemon/http/excerpt.hpp"
#include "daemon/http/exchange.hpp"
#include "daemon/http/keyring.hpp"
#include "daemon/http/resolver.hpp"
#include "daemon/http/tls_handshake.hpp"

namespace perjoule::http {

class ClientCore {
 public:
  ClientCore(asio::io_context& io, ClientOptions chosen)
      : context(io),
        options(std::move(chosen)),
        resolver(std::make_shared<Resolver>(options.make_lane)),
        keyring(std::make_shared<Keyring>(options.make_lane, options.recheck_files)),
        pool(options.pool) {}

  asio::io_context& context;
  ClientOptions options;
  std::shared_ptr<Resolver> resolver;
  std::shared_ptr<Keyring> keyring;
  Pool pool;
  ClientCounts counts;
  std::vector<std::weak_ptr<Exchange>> exchanges;

  std::shared_ptr<Exchange> exchange() {
    std::erase_if(exchanges, [](const std::weak_ptr<Exchange>& weak) { return weak.expired(); });
    const auto made = std::make_shared<Exchange>(context);
    exchanges.push_back(made);
    return made;
  }
};

namespace {

// A call with all that is known before a connection is needed.
struct Job {
  Call call;
  config::Url url;
  std::optional<config::Url> proxy;
  Steady::time_point deadline;
  std::string where;  // for messages
  Credentials credentials;
  Keyring::Tls tls;
  std::string request;
  std::string key;  // of the pool
};

bool is_field(const std::pair<std::string, std::string>& header) {
  const auto token = [](char c) { return c > ' ' && c < '\x7F' && c != ':'; };
  const auto text = [](char c) { return static_cast<unsigned char>(c) >= ' ' && c != '\x7F'; };
  return !header.first.empty() && std::all_of(header.first.begin(), header.first.end(), token) &&
         std::all_of(header.second.begin(), header.second.end(), text);
}

std::string request_text(const Job& job, const ClientOptions& options) {
  const Call& call = job.call;
  const bool absolute = job.proxy && !job.url.tls;
  std::string text = fmt::format("{} {}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {}\r\n", call.method,
                                 absolute ? "http://" + job.where : "", job.url.target, job.where, options.agent);
  if (options.pool.connections == 0) text += "Connection: close\r\n";
  if (!job.credentials.header.empty()) text += fmt::format("Authorization: {}\r\n", job.credentials.header);
  for (const auto& [name, value] : call.headers)
    text += fmt::format("{}: {}\r\n", name, value);
  for (const auto& [name, value] : call.access.headers)
    text += fmt::format("{}: {}\r\n", name, value);
  if (!call.body.empty() || call.method != "GET") text += fmt::format("Content-Length: {}\r\n", call.body.size());
  return text + "\r\n" + call.body;
}

// A new context, made of a changed file, has another address: connections of the old one are not used again.
std::string pool_key(const Job& job) {
  return fmt::format("{}|{}:{}|{}|{}", job.proxy ? job.proxy->authority() : "", job.url.host, job.url.port,
                     static_cast<const void*>(job.tls.get()), job.call.access.tls.server_name);
}

// Tries one address after another; each gets an equal share of the remaining time.
asio::awaitable<Result<void>> connect(std::shared_ptr<Exchange> exchange, Endpoints endpoints,
                                      Steady::time_point deadline, std::string where) {
  const std::shared_ptr<ClientConnection> connection = exchange->connection;
  error_code error;
  for (std::size_t i = 0; i < endpoints.size(); ++i) {
    const Steady::time_point now = Steady::now();
    exchange->arm(now + (deadline - now) / static_cast<std::int64_t>(endpoints.size() - i));
    co_await connection->socket.async_connect(endpoints[i], asio::redirect_error(asio::use_awaitable, error));
    if (!error && !exchange->ended()) co_return Result<void>{};
    if (exchange->cancelled()) break;
    connection->close();
  }
  co_return exchange->failure("connecting to " + where, error.message());
}

// The response to a request that was sent on exchange->connection.
asio::awaitable<Result<Answer>> receive(std::shared_ptr<Exchange> exchange, std::shared_ptr<ResponseReader> reader,
                                        std::string unsent, std::string where) {
  for (;;) {
    const ClientConnection::Read read = co_await exchange->connection->read();
    if (exchange->ended()) co_return exchange->failure(where, "");
    if (read.error && read.error != asio::error::eof) {
      Error failure = exchange->failure(where, unsent.empty() ? read.error.message() : unsent);
      failure.remedy = remedy_of(read.error);
      co_return failure;
    }
    const auto state = read.error ? reader->finish() : reader->read(read.bytes);
    if (state == ResponseReader::State::complete) co_return reader->take_response();
    if (state == ResponseReader::State::refused) co_return exchange->failure(where, reader->why());
  }
}

asio::awaitable<Result<Answer>> converse(std::shared_ptr<Exchange> exchange, std::shared_ptr<Job> job,
                                         std::shared_ptr<ResponseReader> reader) {
  const error_code error = co_await exchange->connection->write(job->request);
  // A server may respond and close before it has read the whole request, so the response is read despite a write error.
  // The string has a name: g++ 12 destroys a temporary of a conditional inside a co_await expression twice.
  const std::string unsent = error ? error.message() : "";
  co_return co_await receive(exchange, reader, unsent, job->where);
}

// Asks the proxy for a connection to the server.
asio::awaitable<Result<void>> tunnel(std::shared_ptr<Exchange> exchange, std::shared_ptr<Job> job, std::string agent) {
  const std::string host = job->url.host.find(':') == std::string::npos ? job->url.host : '[' + job->url.host + ']';
  const std::string target = host + ':' + job->url.port;
  const std::string request =
      fmt::format("CONNECT {0} HTTP/1.1\r\nHost: {0}\r\nUser-Agent: {1}\r\n\r\n", target, agent);
  const std::string doing = fmt::format("proxy {}: CONNECT {}", job->proxy->authority(), target);
  const error_code error = co_await exchange->connection->write(request);
  const auto reader = std::make_shared<ResponseReader>(job->call.head_bytes, 0, ResponseReader::Kind::connect);
  const std::string unsent = error ? error.message() : "";
  const Result<Answer> answer = co_await receive(exchange, reader, unsent, doing);
  if (!answer) co_return answer.error();
  if (answer->status / 100 != 2)
    co_return Error{Fault::transient, fmt::format("{}: HTTP status {}", doing, answer->status),
                    "the proxy must permit CONNECT to this host and port"};
  if (reader->surplus()) co_return exchange->failure(doing, "bytes after the response");
  co_return Result<void>{};
}

// A new connection up to the point where the request can be written.
asio::awaitable<Result<void>> open(std::shared_ptr<ClientCore> core, std::shared_ptr<Exchange> exchange,
                                   std::shared_ptr<Job> job) {
  const config::Url& hop = job->proxy ? *job->proxy : job->url;
  const std::string where = (job->proxy ? "proxy " : "") + hop.authority();
  const Result<Endpoints> endpoints = co_await core->resolver->find(exchange, hop.host, hop.port);
  if (!endpoints) co_return endpoints.error();
  exchange->connection = std::make_shared<ClientConnection>(core->context);
  ++core->counts.connected;
  Result<void> done = co_await connect(exchange, *endpoints, job->deadline, where);
  if (!done) co_return done;
  exchange->arm(job->deadline);
  if (job->url.tls && job->proxy) done = co_await tunnel(exchange, job, core->options.agent);
  if (!done || !job->url.tls) co_return done;
  const std::string& server_name = job->call.access.tls.server_name;
  const std::string name = server_name.empty() ? job->url.host : server_name;
  co_return co_await shake_hands(exchange, job->tls, name, job->where);
}

Result<std::shared_ptr<Job>> plan(Call call) {
  auto job = std::make_shared<Job>();
  job->call = std::move(call);
  job->deadline = Steady::now() + job->call.deadline;
  const config::Checked<config::Url> url = config::parse_url(job->call.url);
  if (!url) return Error{Fault::broken, url.error().what, url.error().help};
  job->url = *url;
  job->where = url->authority();
  if (const std::string& proxy_url = job->call.access.proxy; !proxy_url.empty()) {
    const config::Checked<config::Url> proxy = config::parse_url(proxy_url);
    if (!proxy) return Error{Fault::broken, "proxy: " + proxy.error().what, proxy.error().help};
    job->proxy = *proxy;
  }
  const auto& further = job->call.access.headers;
  if (!std::all_of(job->call.headers.begin(), job->call.headers.end(), is_field) ||
      !std::all_of(further.begin(), further.end(), is_field))
    return Error{Fault::broken, "a request header has an invalid name or value"};
  return job;
}

// Reads the files, and fills in what depends on them.
asio::awaitable<Result<void>> equip(std::shared_ptr<ClientCore> core, std::shared_ptr<Exchange> exchange,
                                    std::shared_ptr<Job> job) {
  exchange->arm(job->deadline);
  Result<Credentials> credentials = co_await core->keyring->credentials(exchange, job->call.access);
  if (!credentials) co_return credentials.error();
  job->credentials = *std::move(credentials);
  if (job->url.tls) {
    Result<Keyring::Tls> tls = co_await core->keyring->tls(exchange, job->call.access.tls);
    if (!tls) co_return tls.error();
    job->tls = *std::move(tls);
  }
  co_return Result<void>{};
}

void count_limit(ClientCounts& counts, ResponseReader::Limit limit) {
  if (limit == ResponseReader::Limit::head) ++counts.long_heads;
  if (limit == ResponseReader::Limit::body) ++counts.long_bodies;
}

asio::awaitable<Result<Answer>> run(std::shared_ptr<ClientCore> core, std::shared_ptr<Exchange> exchange, Call call) {
  const Result<std::shared_ptr<Job>> planned = plan(std::move(call));
  if (!planned) co_return planned.error();
  const std::shared_ptr<Job>& job = *planned;
  const Result<void> equipped = co_await equip(core, exchange, job);
  if (!equipped) co_return equipped.error();
  job->request = request_text(*job, core->options);
  job->key = pool_key(*job);
  exchange->connection = core->pool.take(job->key);
  for (;;) {
    const bool again = exchange->connection != nullptr;
    if (!again) {
      const Result<void> opened = co_await open(core, exchange, job);
      if (!opened) co_return opened.error();
    }
    const auto reader = std::make_shared<ResponseReader>(job->call.head_bytes, job->call.body_bytes);
    Result<Answer> answer = co_await converse(exchange, job, reader);
    count_limit(core->counts, reader->limit());
    if (answer) {
      if (reader->reusable()) core->pool.keep(job->key, exchange->connection);
      if (answer->status / 100 != 2) answer->excerpt = excerpt(*answer, job->call, job->credentials);
      co_return answer;
    }
    exchange->connection->close();
    if (!again || reader->started() || exchange->ended()) co_return answer;
    ++core->counts.retried;
    exchange->connection = nullptr;
  }
}

asio::awaitable<Result<void>> ready(std::shared_ptr<ClientCore> core, std::shared_ptr<Exchange> exchange, Call call) {
  const Result<std::shared_ptr<Job>> planned = plan(std::move(call));
  if (!planned) co_return planned.error();
  const std::shared_ptr<Job>& job = *planned;
  co_return co_await equip(core, exchange, job);
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
  core_->pool.clear();
}

asio::awaitable<Result<Answer>> Client::fetch(Call call) {
  return run(core_, core_->exchange(), std::move(call));
}

asio::awaitable<Result<void>> Client::prepare(std::string url, config::HttpAccess access) {
  Call call;
  call.url = std::move(url);
  call.access = std::move(access);
  return ready(core_, core_->exchange(), std::move(call));
}

ClientCounts Client::counts() const {
  ClientCounts counts = core_->counts;
  counts.long_files = core_->keyring->long_files();
  counts.waited_lookups = core_->resolver->waited();
  counts.kept = core_->pool.size();
  counts.pool = core_->pool.counts();
  return counts;
}

}  // namespace perjoule::http
