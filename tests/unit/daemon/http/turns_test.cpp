#include "daemon/http/turns.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/post.hpp>
#include <exception>
#include <string>
#include <utility>
#include <vector>

using namespace perjoule::http;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

struct Fixture {
  asio::io_context context{1};
  Connections connections;
  Turns turns{context};
  std::vector<std::string> order;

  Connection& connect(std::chrono::milliseconds since_served) {
    Connection& connection = connections.add(asio::ip::tcp::socket(context), Limits{});
    connection.served_at = Connection::Clock::now() - since_served;
    return connection;
  }
  asio::awaitable<void> wait(Connection* connection, std::string name, bool urgent) {
    co_await turns.wait(*connection, urgent);
    order.push_back(std::move(name));
  }
  void ask(Connection& connection, std::string name, bool urgent = false) {
    asio::co_spawn(context, wait(&connection, std::move(name), urgent), asio::detached);
  }
};

}  // namespace

TEST_CASE_FIXTURE(Fixture, "turns: urgent requests, then the connection that waited longest, then arrival") {
  Connection& busy = connect(1ms);
  ask(busy, "busy");
  ask(connect(5ms), "less busy");
  ask(connect(15s), "every 15 s");
  ask(connections.add(asio::ip::tcp::socket(context), Limits{}), "new");
  ask(connect(0ms), "health", true);
  context.run();
  CHECK(order == std::vector<std::string>{"health", "every 15 s", "new", "less busy", "busy"});
}

TEST_CASE_FIXTURE(Fixture, "turns: between two of them everything runs that has become ready") {
  for (int n = 0; n < 50; ++n)
    ask(connect(1ms), "busy");
  asio::co_spawn(context, wait(&connect(1ms), "busy", false), [this](const std::exception_ptr&) {
    ask(connect(0ms), "health", true);  // arrives after the first turn
  });
  // As a socket that becomes readable while turns are given.
  asio::post(context, [this] { asio::post(context, [this] { ask(connect(2s), "new"); }); });
  context.run();
  REQUIRE(order.size() == 53);
  CHECK(std::find(order.begin(), order.end(), "new") - order.begin() <= 3);
  CHECK(order.back() == "health");
}

TEST_CASE_FIXTURE(Fixture, "turns: a connection that is closed while it waits loses its place") {
  Connection& gone = connect(1s);
  ask(connect(2s), "first");
  ask(gone, "gone");
  ask(connect(1ms), "last");
  // Runs before the first turn is given.
  asio::post(context, [&gone] { gone.pause.cancel(); });
  context.run();
  CHECK(order.size() == 3);
  ask(connect(1ms), "later");  // the places of all are free
  context.restart();
  context.run();
  CHECK(order.back() == "later");
}
