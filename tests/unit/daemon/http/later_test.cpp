// Responses that a handler gives later, from another thread.
#include <doctest/doctest.h>

#include <chrono>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>

#include "tests/unit/daemon/http/test_client.hpp"

using namespace perjoule::http;
using namespace perjoule::http::test;
using namespace std::chrono_literals;

namespace {

constexpr std::string_view ask_later = "GET /later HTTP/1.1\r\nHost: h\r\n\r\n";
constexpr std::string_view ask_now = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";

Response text(std::string words) {
  Response response;
  response.body = make_body(std::move(words));
  return response;
}

// "/later": the test takes the Reply and answers. "/soon": answered at once. "/throw-later": throws. Else: site().
struct LaterSite {
  explicit LaterSite(Limits limits = {}) {
    server.emplace(std::vector<std::string>{"127.0.0.1:0"}, limits,
                   [this](const Request& request) { return handle(request); });
    if (server->start().has_error()) throw std::runtime_error("the server does not start");
  }
  Response handle(const Request& request) {
    if (request.path == "/throw-later") {
      Response response;
      response.later = [](const Reply&) { throw std::runtime_error("a fault of the handler"); };
      return response;
    }
    if (request.path != "/later" && request.path != "/soon") return site(request);
    Response response;
    response.later = [this, soon = request.path == "/soon", body = request.body](const Reply& reply) {
      if (soon) return reply(text("soon"));
      const std::lock_guard lock(mutex);
      replies.push_back(reply);
      bodies.push_back(body);
      came.notify_one();
    };
    return response;
  }
  Reply take() {
    std::unique_lock lock(mutex);
    if (!came.wait_for(lock, 10s, [this] { return !replies.empty(); })) throw std::runtime_error("no request has come");
    Reply reply = std::move(replies.front());
    replies.pop_front();
    return reply;
  }

  std::mutex mutex;
  std::condition_variable came;
  std::deque<Reply> replies;
  std::deque<std::string> bodies;
  std::optional<Server> server;
};

// Waits until the condition is true, at most ten seconds.
template <class Condition>
bool becomes(const Condition& condition) {
  const auto until = std::chrono::steady_clock::now() + 10s;
  while (!condition() && std::chrono::steady_clock::now() < until)
    std::this_thread::yield();
  return condition();
}

}  // namespace

TEST_CASE("later: the response comes from another thread, while other clients are served") {
  LaterSite later;
  Client client(*later.server);
  client.send(ask_later);
  const Reply reply = later.take();
  CHECK(Client(*later.server).get("/").body == "hello");
  CHECK_FALSE(client.readable_within(0ms));
  reply(text("made elsewhere"));
  const Answer answer = client.receive();
  CHECK(answer.status == 200);
  CHECK(answer.body == "made elsewhere");
  CHECK(client.get("/soon").body == "soon");
  CHECK(client.get("/").body == "hello");

  client.send("HEAD /later HTTP/1.1\r\nHost: h\r\n\r\n");
  later.take()(text("made elsewhere"));
  CHECK(client.receive(true).has("Content-Length: 14"));
  CHECK(client.get("/").body == "hello");
  client.send("GET /later HTTP/1.0\r\n\r\n");
  later.take()(text("the last"));
  CHECK(client.receive().body == "the last");
  CHECK(client.closed());
}

TEST_CASE("later: pipelined requests are answered in order") {
  LaterSite later;
  Client client(*later.server);
  client.send(std::string(ask_later) + std::string(ask_now) + std::string(ask_later));
  const Reply first = later.take();
  CHECK_FALSE(client.readable_within(0ms));
  first(text("one"));
  CHECK(client.receive().body == "one");
  CHECK(client.receive().body == "hello");
  later.take()(text("three"));
  CHECK(client.receive().body == "three");
}

TEST_CASE("later: a body of 64 KiB reaches the handler, a longer one does not") {
  LaterSite later;
  Client client(*later.server);
  client.send("POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 65536\r\n\r\n" + std::string(65536, 'b'));
  later.take()(text("taken"));
  CHECK(client.receive().body == "taken");
  CHECK(later.bodies.front().size() == 65536);
  client.send("POST /later HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\n\r\n");
  CHECK(client.receive().status == 413);
  CHECK(later.replies.empty());
}

TEST_CASE("later: the client closes before the response") {
  LaterSite later;
  std::optional<Client> client(*later.server);
  client->send(ask_later);
  const Reply reply = later.take();
  client.reset();
  reply(text("not received"));
  CHECK(becomes([&] { return later.server->stats().connections_open == 0; }));
  CHECK(Client(*later.server).get("/").body == "hello");
}

TEST_CASE("later: a client that waits for its response is not evicted while another is idle") {
  Limits limits;
  limits.connections = 2;
  LaterSite later(limits);
  Client waits(*later.server);
  waits.send(ask_later);
  const Reply reply = later.take();
  Client idle(*later.server);
  CHECK(idle.get("/").status == 200);
  CHECK(Client(*later.server).get("/").status == 200);
  CHECK(idle.closed());
  reply(text("after the wait"));
  CHECK(waits.receive().body == "after the wait");
}

TEST_CASE("later: no response in time is a 503, and a response that comes too late is dropped") {
  Limits limits;
  limits.answer_timeout = 20ms;
  LaterSite later(limits);
  Client client(*later.server);
  client.send(ask_later);
  const Reply reply = later.take();
  CHECK(client.receive().status == 503);
  reply(text("too late"));
  CHECK(client.get("/").body == "hello");
  client.send(ask_later);
  later.take()(text("in time"));
  CHECK(client.receive().body == "in time");
}

TEST_CASE("later: a second response to the same request is dropped") {
  LaterSite later;
  Client client(*later.server);
  client.send(ask_later);
  const Reply reply = later.take();
  reply(text("once"));
  CHECK(client.receive().body == "once");
  reply(text("twice"));
  client.send(ask_later);
  const Reply next = later.take();
  reply(text("thrice"));
  next(text("next"));
  CHECK(client.receive().body == "next");
}

TEST_CASE("later: an exception is a 500, and leaves no connection open") {
  LaterSite later;
  Client client(*later.server);
  CHECK(client.get("/throw-later").status == 500);
  CHECK(client.closed());
  CHECK(later.server->stats().handler_failures == 1);
  CHECK(becomes([&] { return later.server->stats().connections_open == 0; }));
}

TEST_CASE("later: a Reply outlives the server, which ends at once although a response is pending") {
  LaterSite later;
  Client client(*later.server);
  client.send(ask_later);
  Reply stopped = later.take();
  Client other(*later.server);
  other.send(ask_later);
  Reply kept = later.take();
  later.server->stop();
  stopped(text("the server has stopped"));
  CHECK(client.closed());
  later.server.reset();
  kept(text("the server is destroyed"));
  // Destroyed last, as by a lane that hung until now.
  stopped = nullptr;
  kept = nullptr;
  CHECK(other.closed());
}
