// Connections that the HTTP client keeps: used again, closed by the server, retried once, bounded.
#include <set>

#include "tests/unit/daemon/http/outgoing.hpp"

using namespace perjoule;
using namespace perjoule::http::outgoing;
using namespace std::chrono_literals;

namespace {

// Answers `count` requests on each connection, then closes it.
std::function<void(tcp::socket&)> serves(int count) {
  return [count](tcp::socket& socket) {
    for (int i = 0; i < count && !read_head(socket).empty(); ++i)
      say(socket, ok("a"));
  };
}

}  // namespace

TEST_CASE("kept: the next call to the same server uses the same connection") {
  const Hostile server(serves(100));
  Caller caller;
  for (int i = 0; i < 10; ++i) {
    http::Call call = get(server.url());
    call.method = i % 2 == 0 ? "GET" : "POST";
    const Result<http::Answer> answer = caller(call);
    REQUIRE_MESSAGE(answer.has_value(), answer.error().what);
    CHECK(answer->body == "a");
  }
  CHECK(server.accepted == 1);
  const http::ClientCounts counts = caller.client->counts();
  CHECK(counts.connected == 1);
  CHECK(counts.pool.reused == 9);
  CHECK(counts.kept == 1);
  CHECK(counts.retried == 0);
  caller.client->cancel();
  CHECK(caller.client->counts().kept == 0);
}

TEST_CASE("kept: a close by the server is seen when it comes, and the next call has a new connection") {
  const Hostile server(serves(1));
  Caller caller;
  for (int i = 0; i < 3; ++i) {
    CHECK(caller(get(server.url())).has_value());
    CHECK(caller.until([&] { return caller.client->counts().kept == 0; }));
  }
  CHECK(server.accepted == 3);
  const http::ClientCounts counts = caller.client->counts();
  CHECK(counts.pool.closed_by_server == 3);
  CHECK(counts.retried == 0);
}

TEST_CASE("kept: a call that a kept connection loses before the first byte is sent once more, and only then") {
  int requests = 0;
  const struct {
    const char* second;  // what the second request on a connection gets before the server closes
    bool succeeds;
  } cases[] = {{"", true}, {"HTTP/1.1 200 OK\r\nContent-Len", false}};
  for (const auto& each : cases) {
    requests = 0;
    const Hostile server([&](tcp::socket& socket) {
      ++requests;
      read_head(socket);
      say(socket, ok("a"));
      if (read_head(socket).empty()) return;
      ++requests;
      say(socket, each.second);
    });
    Caller caller;
    CHECK(caller(get(server.url())).has_value());
    const Result<http::Answer> second = caller(get(server.url()));
    CHECK(second.has_value() == each.succeeds);
    CHECK(caller.client->counts().retried == (each.succeeds ? 1 : 0));
    CHECK(caller.client->counts().connected == (each.succeeds ? 2 : 1));
    caller.client->cancel();
  }
}

TEST_CASE("kept: a call is sent a second time only once") {
  std::atomic<int> connections = 0;
  const Hostile server([&](tcp::socket& socket) {
    read_head(socket);
    if (++connections > 1) return;  // every later connection closes without a response
    say(socket, ok("a"));
    read_head(socket);
  });
  Caller caller;
  CHECK(caller(get(server.url())).has_value());
  CHECK(caller(get(server.url())).has_error());
  CHECK(caller.client->counts().connected == 2);
  CHECK(caller.client->counts().retried == 1);
}

TEST_CASE("kept: a call that runs into its deadline on a kept connection is not sent again") {
  const Hostile server([](tcp::socket& socket) {
    read_head(socket);
    say(socket, ok("a"));
    read_head(socket);
    read_head(socket);  // until the client closes
  });
  Caller caller;
  CHECK(caller(get(server.url())).has_value());
  CHECK(caller(get(server.url(), 50ms)).error().fault == Fault::timeout);
  CHECK(caller.client->counts().connected == 1);
}

TEST_CASE("kept: bytes that nothing asked for, close, an old version or a body without length end a connection") {
  for (const std::string& response :
       {ok("a") + "HTTP/1.1 200 OK\r\n",
        std::string("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
        std::string("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), std::string("HTTP/1.1 200 OK\r\n\r\nbody")}) {
    const Hostile server([&](tcp::socket& socket) {
      read_head(socket);
      say(socket, response);
      socket.shutdown(tcp::socket::shutdown_send);
    });
    Caller caller;
    CHECK(caller(get(server.url())).has_value());
    CHECK(caller.client->counts().kept == 0);
  }
  // A response that comes while the connection is kept belongs to no call: it must not answer the next call.
  const Hostile server([](tcp::socket& socket) {
    read_head(socket);
    say(socket, ok("a"));
    say(socket, ok("stray"));
    read_head(socket);
  });
  Caller caller;
  CHECK(caller(get(server.url())).has_value());
  CHECK(caller.until([&] { return caller.client->counts().kept == 0; }));
}

TEST_CASE("kept: idle time, age and numbers are limited and counted") {
  const Hostile server(serves(100));
  {
    Caller caller({.idle = 20ms});
    CHECK(caller(get(server.url())).has_value());
    CHECK(caller.client->counts().kept == 1);
    CHECK(caller.until([&] { return caller.client->counts().kept == 0; }));
    CHECK(caller.client->counts().pool.expired == 1);
  }
  {
    Caller caller({.age = 0ms});
    CHECK(caller(get(server.url())).has_value());
    CHECK(caller.client->counts().kept == 0);
    CHECK(caller.client->counts().pool.expired == 1);
  }
  {
    Caller caller({.connections = 0});
    CHECK(caller(get(server.url())).has_value());
    CHECK(caller.client->counts().kept == 0);
  }
}

TEST_CASE("kept: at the limit of all the longest unused connection is closed") {
  const Hostile first(serves(100));
  const Hostile second(serves(100));
  const Hostile third(serves(100));
  Caller caller({.connections = 2});
  for (const Hostile* server : {&first, &second, &first, &third, &first, &second})
    CHECK(caller(get(server->url())).has_value());
  CHECK(first.accepted == 1);
  CHECK(second.accepted == 2);
  CHECK(caller.client->counts().pool.evicted == 2);
  CHECK(caller.client->counts().kept == 2);
}

TEST_CASE("kept: more calls at once than one server's connections are kept for") {
  asio::io_context loop;
  tcp::acceptor acceptor(loop, {asio::ip::address_v4::loopback(), 0});
  std::thread thread([&] {
    std::vector<tcp::socket> sockets;
    for (int i = 0; i < 4; ++i)
      sockets.push_back(acceptor.accept());
    for (tcp::socket& socket : sockets) {
      read_head(socket);
      say(socket, ok("a"));
    }
    for (tcp::socket& socket : sockets)
      read_head(socket);
  });
  Caller caller;
  std::optional<Result<http::Answer>> answers[4];
  for (auto& answer : answers)
    caller.start(get("http://127.0.0.1:" + std::to_string(acceptor.local_endpoint().port())), answer);
  CHECK(caller.until(
      [&] { return std::all_of(std::begin(answers), std::end(answers), [](auto& a) { return a.has_value(); }); }));
  CHECK(caller.client->counts().kept == 2);
  CHECK(caller.client->counts().pool.surplus == 2);
  caller.client->cancel();
  thread.join();
}
