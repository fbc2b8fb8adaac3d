#include "daemon/http/server.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "tests/unit/daemon/http/test_client.hpp"

using namespace perjoule;
using namespace perjoule::http;
using namespace perjoule::http::test;

TEST_CASE("server: keep-alive, HEAD, POST, HTTP/1.0 and Connection: close") {
  Site site;
  Client client(site.server);
  for (int i = 0; i < 3; ++i) {
    auto answer = client.get("/");
    CHECK(answer.status == 200);
    CHECK(answer.body == "hello");
    CHECK(answer.has("Content-Type: text/plain; charset=utf-8"));
  }
  CHECK(client.get("/x?a=1%202&b").body == "GET /x a=1 2 b= loopback []");
  CHECK(client.get("http://any:1/x").body == "GET /x loopback []");

  client.send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n");
  auto head = client.receive(true);
  CHECK(head.has("Content-Length: 5"));
  CHECK(client.get("/empty").status == 204);
  client.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc");
  CHECK(client.receive().body == "POST /p loopback [abc]");
  client.send("PUT /p HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
  CHECK(client.receive().body == "PUT /p loopback [ab]");
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(client.receive().has("Connection: keep-alive"));
  client.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  CHECK(client.receive().has("Connection: close"));
  CHECK(client.closed());

  Client old(site.server);
  old.send("GET / HTTP/1.0\r\n\r\n");
  CHECK(old.receive().body == "hello");
  CHECK(old.closed());
  CHECK(site.server.stats().connections_accepted == 2);
  CHECK(site.server.stats().requests == 12);
  CHECK(site.server.stats().requests_refused == 0);
}

TEST_CASE("server: a client that closes its sending side after the request still gets the response") {
  Site site;
  Client client(site.server);
  client.send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  client.finish();
  CHECK(client.receive().body == "hello");
  CHECK(client.closed());
}

TEST_CASE("server: 100 Continue comes before the body is sent") {
  Site site;
  Client client(site.server);
  client.send("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  CHECK(client.receive().status == 100);
  client.send("abc");
  CHECK(client.receive().body == "POST /p loopback [abc]");
}

TEST_CASE("server: pipelined requests are answered in order; header bytes may come one by one") {
  Site site;
  Client client(site.server);
  std::string all;
  for (int i = 0; i < 90; ++i)
    all += "GET /" + std::to_string(i) + "x HTTP/1.1\r\nHost: h\r\n\r\n";
  client.send(all);
  for (int i = 0; i < 90; ++i)
    CHECK(client.receive().body == "GET /" + std::to_string(i) + "x loopback []");

  Client slow(site.server);
  for (char c : std::string("GET /slow HTTP/1.1\r\nHost: h\r\n\r\n"))
    slow.send({&c, 1});
  CHECK(slow.receive().body == "GET /slow loopback []");
}

TEST_CASE("server: a body larger than the kernel's buffers arrives whole, then the next answer") {
  Site site;
  Client client(site.server);
  client.send("GET /big HTTP/1.1\r\nHost: h\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n");
  auto big = client.receive();
  CHECK(big.body.size() == big_body);
  CHECK(big.body.find_first_not_of('x') == std::string::npos);
  CHECK(client.receive().body == "hello");
}

TEST_CASE("server: an error of the handler is a 500 and is counted, and the server goes on") {
  Site site;
  for (auto path : {"/throw", "/split"}) {
    Client client(site.server);
    auto answer = client.get(path);
    CHECK(answer.status == 500);
    CHECK(answer.head.find("Forged") == std::string::npos);
    CHECK(client.closed());
  }
  CHECK(site.server.stats().handler_failures == 2);
  CHECK(Client(site.server).get("/").status == 200);
}

TEST_CASE("server: an unsupported method gets 405 with the supported ones") {
  Site site;
  Client client(site.server);
  client.send("DELETE / HTTP/1.1\r\nHost: h\r\n\r\n");
  auto answer = client.receive();
  CHECK(answer.status == 405);
  CHECK(answer.has("Allow: GET, HEAD, POST, PUT"));
  CHECK(client.closed());
  CHECK(site.server.stats().requests_refused == 1);
}

TEST_CASE("server: hostile bytes end at most their own connection") {
  Limits limits;
  limits.header_timeout = std::chrono::milliseconds(20);
  limits.body_timeout = std::chrono::milliseconds(20);
  Site site(limits);
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    Client client(site.server);
    std::string text = round % 2 ? "POST /r HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" : "";
    for (auto n = random() % 2000; n > 0; --n)
      text += static_cast<char>(random());
    client.send(text);
    client.finish();
    client.receive();
  }
  CHECK(Client(site.server).get("/").body == "hello");
}

TEST_CASE("server: two listeners, and the addresses actually bound") {
  Server server({"127.0.0.1:0", "127.0.0.1:0"}, {}, site);
  REQUIRE(server.start().has_value());
  REQUIRE(server.addresses().size() == 2);
  CHECK(server.addresses()[0].starts_with("127.0.0.1:"));
  CHECK(port_of(server, 0) != port_of(server, 1));
  for (std::size_t i : {0U, 1U}) {
    Client client;
    REQUIRE(client.connect(port_of(server, i)));
    CHECK(client.get("/").body == "hello");
  }
}

TEST_CASE("server: IPv6 only, and IPv6 as part of every interface") {
  Server server({"[::1]:0"}, {}, site);
  if (server.start().has_error()) {
    MESSAGE("skipped: this host has no IPv6");
    return;
  }
  CHECK(server.addresses()[0].starts_with("[::1]:"));
  Client client(AF_INET6);
  REQUIRE(client.connect(port_of(server)));
  CHECK(client.get("/x").body == "GET /x loopback []");

  std::string port;
  for (const std::string address : {":0", "[::]:0"}) {
    Server every({address}, {}, site);
    REQUIRE(every.start().has_value());
    port = std::to_string(port_of(every));
    for (int family : {AF_INET, AF_INET6}) {
      Client either(family);
      REQUIRE(either.connect(port_of(every)));
      CHECK(either.get("/x").body == "GET /x loopback []");
    }
  }

  // Beside an IPv4 address with its port "[::]" is IPv6 only.
  Server both({"[::]:" + port, "0.0.0.0:" + port}, {}, site);
  CHECK(both.start().has_value());
}

TEST_CASE("server: the error of an address that cannot be bound names the address, the reason and a remedy") {
  Site site;
  auto address = site.server.addresses()[0];
  Server second({"127.0.0.1:0", address}, {}, test::site);
  auto started = second.start();
  REQUIRE(started.has_error());
  CHECK(started.error().fault == Fault::broken);
  CHECK(started.error().what == "cannot listen on " + address + ": Address already in use");
  CHECK(started.error().remedy ==
        "find the process that uses the port: ss -ltnp 'sport = :" + std::to_string(port_of(site.server)) + "'");
  CHECK(second.addresses().empty());
  CHECK(second.start().has_error());

  Server elsewhere({"192.0.2.1:0"}, {}, test::site);
  CHECK(elsewhere.start().error().what == "cannot listen on 192.0.2.1:0: Cannot assign requested address");
  for (auto bad : {"", "10190", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1:80x", "::1:80",
                   "[::1]", "[::1:80"}) {
    Server server({bad}, {}, test::site);
    auto result = server.start();
    REQUIRE(result.has_error());
    CHECK(result.error().what == "listen address \"" + std::string(bad) + "\" is not HOST:PORT");
  }
}

TEST_CASE("server: stop closes fifty connections within a second, frees the port, and may be called again") {
  Server server({"127.0.0.1:0"}, {}, site);
  REQUIRE(server.start().has_value());
  auto address = server.addresses()[0];
  std::vector<Client> clients;
  for (int i = 0; i < 50; ++i) {
    clients.emplace_back(server);
    if (i % 2) CHECK(clients.back().get("/").status == 200);
    if (i % 3 == 0) clients.back().send("GET /half");
  }
  clients.emplace_back(server);
  clients.back().send("GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
  CHECK(clients.back().receive_byte());
  auto begin = std::chrono::steady_clock::now();
  server.stop();
  CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(1));
  clients.pop_back();
  for (auto& client : clients)
    CHECK(client.closed());
  CHECK(server.stats().connections_open == 0);
  server.stop();
  CHECK(server.start().has_error());

  Server next({address}, {}, site);
  REQUIRE(next.start().has_value());
  CHECK(Client(next).get("/").status == 200);
}
