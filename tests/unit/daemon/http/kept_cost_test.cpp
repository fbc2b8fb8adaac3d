// What kept connections save: the CPU time of fetching many TLS targets again, beside new connections in the same run.
#include <sys/resource.h>
#include <time.h>

#include <boost/asio/detached.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "tests/unit/daemon/http/outgoing.hpp"

using namespace perjoule;
using namespace perjoule::http::outgoing;

namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool sanitized = true;
#elif defined(__has_feature)
constexpr bool sanitized = __has_feature(address_sanitizer) || __has_feature(thread_sanitizer);
#else
constexpr bool sanitized = false;
#endif
constexpr int targets = sanitized ? 50 : 500;
constexpr int rounds = 3;

asio::awaitable<void> serve(tcp::socket socket, std::shared_ptr<asio::ssl::context> context) {
  asio::ssl::stream<tcp::socket> stream(std::move(socket), *context);
  const std::string response = ok("metrics");
  std::string request;
  try {
    co_await stream.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
    for (;;) {
      const std::size_t size =
          co_await asio::async_read_until(stream, asio::dynamic_buffer(request), "\r\n\r\n", asio::use_awaitable);
      request.erase(0, size);
      co_await asio::async_write(stream, asio::buffer(response), asio::use_awaitable);
    }
  } catch (const boost::system::system_error&) {
    co_return;  // the client closed
  }
}

asio::awaitable<void> accept(tcp::acceptor* acceptor, std::shared_ptr<asio::ssl::context> context) {
  for (;;) {
    tcp::socket socket = co_await acceptor->async_accept(asio::use_awaitable);
    asio::co_spawn(acceptor->get_executor(), serve(std::move(socket), context), asio::detached);
  }
}

double cpu_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// CPU time of this thread for one call to each target, all at once.
double fetch_all(Caller& caller, const std::string& port, const std::string& ca_file) {
  std::vector<std::optional<Result<http::Answer>>> answers(targets);
  const double begin = cpu_seconds();
  int open = targets;
  for (int i = 0; i < targets; ++i) {
    // Each address of the loopback network is a target of its own.
    http::Call call = get("https://127.0." + std::to_string(i / 250) + '.' + std::to_string(1 + i % 250) + ':' + port);
    call.deadline = std::chrono::seconds(60);
    call.access.tls.ca_file = ca_file;
    call.access.tls.server_name = "target.example";
    asio::co_spawn(
        caller.loop, caller.client->fetch(std::move(call)),
        [&open, &answer = answers[static_cast<std::size_t>(i)]](const std::exception_ptr&, Result<http::Answer> got) {
          answer = std::move(got);
          --open;
        });
  }
  caller.loop.restart();
  while (open > 0 && caller.loop.run_one() > 0) {
  }
  const double spent = cpu_seconds() - begin;
  for (const auto& answer : answers) {
    REQUIRE(answer.has_value());
    REQUIRE_MESSAGE(answer->has_value(), answer->error().what);
    REQUIRE((*answer)->body == "metrics");
  }
  return spent;
}

}  // namespace

TEST_CASE("kept: fetching 500 TLS targets again takes at most a tenth of the CPU time of new connections") {
  rlimit descriptors{};
  getrlimit(RLIMIT_NOFILE, &descriptors);
  descriptors.rlim_cur = std::min<rlim_t>(descriptors.rlim_max, 4096);
  setrlimit(RLIMIT_NOFILE, &descriptors);
  const Files files;
  const Identity identity("DNS:target.example");
  const std::string ca_file = files.write("ca.pem", identity.certificate);
  const auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  context->use_private_key(asio::buffer(identity.key), asio::ssl::context::pem);
  context->use_certificate_chain(asio::buffer(identity.certificate));
  asio::io_context loop{1};
  tcp::acceptor acceptor(loop, {tcp::v4(), 0});
  const std::string port = std::to_string(acceptor.local_endpoint().port());
  asio::co_spawn(loop, accept(&acceptor, context), asio::detached);
  std::thread server([&loop] { loop.run(); });

  double without = 0;
  double with = 0;
  {
    Caller none({.connections = 0});
    Caller kept({.connections = targets});
    fetch_all(none, port, ca_file);
    fetch_all(kept, port, ca_file);
    CHECK(kept.client->counts().kept == targets);
    for (int round = 0; round < rounds; ++round) {
      without += fetch_all(none, port, ca_file);
      with += fetch_all(kept, port, ca_file);
    }
    CHECK(kept.client->counts().connected == targets);
    CHECK(kept.client->counts().pool.reused == rounds * targets);
    CHECK(none.client->counts().connected == (rounds + 1) * targets);
  }
  loop.stop();
  server.join();
  const double calls = rounds * targets;
  MESSAGE("per call: ", 1e6 * without / calls, " us with a new connection, ", 1e6 * with / calls,
          " us with a kept one, ratio ", with / without);
  if (!sanitized) CHECK(with <= without / 10);  // the sanitizers slow our code down, and not OpenSSL
}
