// Every limit of the HTTP server, tested through a client.
#include <doctest/doctest.h>
#include <sys/resource.h>

#include <chrono>
#include <vector>

#include "tests/unit/daemon/http/test_client.hpp"

using namespace perjoule::http;
using namespace perjoule::http::test;
using namespace std::chrono_literals;

TEST_CASE("limits: a header of 1 MiB is refused at 16 KiB, an endless one closes its connection") {
  Site site;
  Client client(site.server);
  std::string header = "GET / HTTP/1.1\r\nHost: h\r\nX: ";
  client.send(header + std::string(1024 * 1024, 'a'));
  auto answer = client.receive();
  CHECK(answer.status == 431);
  CHECK(answer.has("Connection: close"));
  CHECK(client.closed());

  Client endless(site.server);
  endless.send(header);
  std::string part(1024 * 1024, 'a');
  int parts = 0;
  while (parts < 64 && endless.send(part) == part.size())
    ++parts;
  CHECK(parts < 64);
  CHECK(site.server.stats().requests_refused == 2);
  CHECK(Client(site.server).get("/").status == 200);
}

TEST_CASE("limits: a body that is too long") {
  Site site;
  Client client(site.server);
  client.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 65537\r\nExpect: 100-continue\r\n\r\n");
  CHECK(client.receive().status == 413);
  CHECK(client.closed());
  Client fits(site.server);
  fits.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 65536\r\n\r\n" + std::string(65536, 'b'));
  CHECK(fits.receive().body.size() == 65536 + std::string("POST /p loopback []").size());
}

TEST_CASE("limits: a header that is missing, incomplete or sent byte by byte; a body that is incomplete") {
  Limits limits;
  limits.header_timeout = 50ms;
  limits.body_timeout = 50ms;
  Site site(limits);
  Client silent(site.server);
  CHECK(silent.closed());

  Client partial(site.server);
  partial.send("GET / HTTP/1.1\r\nHo");
  CHECK(partial.receive().status == 408);
  CHECK(partial.closed());

  Client drops(site.server);
  drops.send("GET / HTTP/1.1\r\nX: ");
  auto begin = std::chrono::steady_clock::now();
  while (!drops.readable_within(5ms) && std::chrono::steady_clock::now() - begin < 10s)
    drops.send("a");
  CHECK(drops.receive().status == 408);

  Client body(site.server);
  body.send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nabc");
  CHECK(body.receive().status == 408);
  CHECK(site.server.stats().timeouts == 4);

  // The timeout starts again for each request of a connection.
  Client second(site.server);
  CHECK(second.get("/").status == 200);
  second.send("GET /");
  CHECK(second.receive().status == 408);
}

TEST_CASE("limits: closing an idle connection is not counted as a timeout") {
  Limits limits;
  limits.idle_timeout = 50ms;
  Site site(limits);
  Client client(site.server);
  CHECK(client.get("/").status == 200);
  CHECK(client.closed());
  CHECK(site.server.stats().timeouts == 0);
}

TEST_CASE("limits: a client that does not receive its response is reset") {
  Limits limits;
  limits.write_timeout = 50ms;
  Site site(limits);
  Client client;
  client.small_window();
  REQUIRE(client.connect(port_of(site.server)));
  client.send("GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(client.reset());
  CHECK(site.server.stats().timeouts == 1);
}

TEST_CASE("limits: over the limit of responses to slow clients a request gets 503") {
  Limits limits;
  limits.concurrent_requests = 2;
  limits.write_timeout = 60s;
  Site site(limits);
  std::vector<Client> slow;
  for (int i = 0; i < 2; ++i) {
    slow.emplace_back(site.server);
    slow.back().send("GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
    REQUIRE(slow.back().receive_byte());
  }
  auto answer = Client(site.server).get("/");
  CHECK(answer.status == 503);
  CHECK(answer.has("Retry-After: 1"));
  CHECK(site.server.stats().requests_refused == 1);
  CHECK(site.server.stats().connections_evicted == 0);
}

TEST_CASE("limits: a response that has been stalled for long is closed for a new request") {
  Limits limits;
  limits.concurrent_requests = 1;
  limits.write_timeout = 2s;
  Site site(limits);
  Client slow(site.server);
  slow.send("GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
  REQUIRE(slow.receive_byte());
  int status = 503;
  while (status == 503)
    status = Client(site.server).get("/").status;
  CHECK(status == 200);
  CHECK(slow.reset());
  CHECK(site.server.stats().connections_evicted == 1);
  CHECK(site.server.stats().timeouts == 0);
}

TEST_CASE("limits: when all connections are in use, the one idle longest is closed for a new one") {
  Limits limits;
  limits.connections = 8;
  Site site(limits);
  std::vector<Client> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back(site.server);
    CHECK(clients.back().get("/").status == 200);
  }
  CHECK(clients[0].get("/").status == 200);
  Client fresh(site.server);
  CHECK(fresh.get("/").status == 200);
  CHECK(clients[1].closed());
  for (std::size_t i : {0U, 2U, 3U, 4U, 5U, 6U, 7U})
    CHECK(clients[i].get("/").status == 200);
  CHECK(site.server.stats().connections_evicted == 1);
  CHECK(site.server.stats().connections_open == 8);
}

TEST_CASE("limits: any number of clients that are silent or never finish a header keep no other client out") {
  Limits limits;
  limits.connections = 8;
  Site site(limits);
  Client scraper(site.server);
  std::vector<Client> hostile;
  for (int round = 0; round < 20; ++round) {
    for (int i = 0; i < 4; ++i) {
      hostile.emplace_back(site.server);
      if (i % 2) hostile.back().send("GET / HTTP/1.1\r\nX-Slow: ");
    }
    CHECK(scraper.get("/").status == 200);
    CHECK(Client(site.server).get("/").status == 200);
  }
  CHECK(hostile.front().closed());
  CHECK(site.server.stats().connections_open <= 8);
  CHECK(site.server.stats().connections_evicted >= 72);
}

TEST_CASE("limits: requests above the rate are delayed, none is lost") {
  Limits limits;
  limits.requests_per_second = 1000;
  limits.requests_burst = 5;
  Site site(limits);
  Client client(site.server);
  std::string all;
  for (int i = 0; i < 40; ++i)
    all += "GET /" + std::to_string(i) + "x HTTP/1.1\r\nHost: h\r\n\r\n";
  auto begin = std::chrono::steady_clock::now();
  client.send(all);
  for (int i = 0; i < 40; ++i)
    CHECK(client.receive().body == "GET /" + std::to_string(i) + "x loopback []");
  CHECK(std::chrono::steady_clock::now() - begin >= 34ms);
  CHECK(site.server.stats().requests_delayed >= 1);
}

TEST_CASE("limits: without a free descriptor the longest idle connection is closed") {
  Site site;
  Client idle(site.server);
  CHECK(idle.get("/").status == 200);
  Client fresh;
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &before) == 0);
  int lowest_free = dup(0);
  REQUIRE(lowest_free >= 0);
  close(lowest_free);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(lowest_free);
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  bool connected = fresh.connect(port_of(site.server));
  bool gave_way = idle.closed();
  auto answer = fresh.get("/");
  setrlimit(RLIMIT_NOFILE, &before);
  CHECK(connected);
  CHECK(gave_way);
  CHECK(answer.body == "hello");
  CHECK(site.server.stats().connections_evicted == 1);
}
