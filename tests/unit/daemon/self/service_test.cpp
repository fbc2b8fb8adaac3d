#include "daemon/self/service.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "daemon/efficiency/node_power.hpp"
#include "tests/fakes/tree.hpp"
#include "tests/fakes/virtual_clock.hpp"

using namespace perjoule;

namespace {

constexpr Stamp start{5'000'000'000, 1'795'424'400'000};
constexpr std::int64_t second = nanoseconds_per_second;

// The service manager's end of the socket.
class Manager {
 public:
  explicit Manager(const std::string& address) : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0)) {
    sockaddr_un at{};
    at.sun_family = AF_UNIX;
    std::memcpy(at.sun_path, address.data(), address.size());
    if (address.front() == '@') at.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size());
    REQUIRE(::bind(socket_, reinterpret_cast<const sockaddr*>(&at), length) == 0);
  }
  ~Manager() { ::close(socket_); }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // The messages received since the last call.
  [[nodiscard]] std::vector<std::string> heard() const {
    std::vector<std::string> messages;
    std::array<char, 4096> buffer{};
    for (;;) {
      const ssize_t size = ::recv(socket_, buffer.data(), buffer.size(), 0);
      if (size < 0) return messages;
      messages.emplace_back(buffer.data(), static_cast<std::size_t>(size));
    }
  }

 private:
  int socket_;
};

struct Fixture {
  Tree tree;
  asio::io_context loop;
  fakes::VirtualClock clock{loop, start};
  std::string address = tree.at("notify").native();
  Manager manager{address};
  std::string shown = "cpu ok";

  Service service(std::int64_t watchdog_us = 0) { return {loop, clock, {address, watchdog_us, false}}; }
  void update(Service& of, bool settled) {
    of.update(settled, [this] { return shown; });
  }
};

using Messages = std::vector<std::string>;

}  // namespace

TEST_CASE("the watchdog's interval is used only if it is meant for this process") {
  CHECK(watchdog_interval("30000000", "", 77) == 30'000'000);
  CHECK(watchdog_interval("30000000", "77", 77) == 30'000'000);
  CHECK(watchdog_interval("30000000", "78", 77) == 0);
  for (const char* bad : {"", "-5", "1s", "99999999999999999999", " 7"})
    CHECK(watchdog_interval(bad, "77", 77) == 0);
}

TEST_CASE_FIXTURE(Fixture, "READY is sent once, when every source has had its first call") {
  Service notifier = service();
  notifier.opening("/var/lib/perjoule");
  CHECK(manager.heard() == Messages{"STATUS=opening /var/lib/perjoule\nEXTEND_TIMEOUT_USEC=300000000"});
  update(notifier, false);
  CHECK(manager.heard() == Messages{"STATUS=cpu ok"});
  update(notifier, false);
  CHECK(manager.heard().empty());
  shown = "cpu, rapl ok";
  update(notifier, true);
  CHECK(manager.heard() == Messages{"READY=1", "STATUS=cpu, rapl ok"});
  update(notifier, false);
  CHECK(manager.heard().empty());
}

TEST_CASE_FIXTURE(Fixture, "a source that never answers delays READY for ten seconds and no longer") {
  Service notifier = service();
  clock.run_until(start.steady_ns + Service::ready_wait_ns - second);
  update(notifier, false);
  CHECK(manager.heard() == Messages{"STATUS=cpu ok"});
  clock.run_until(start.steady_ns + Service::ready_wait_ns);
  update(notifier, false);
  CHECK(manager.heard().front() == "READY=1");
}

TEST_CASE_FIXTURE(Fixture, "the status is sent when it has changed, at most every five seconds") {
  Service notifier = service();
  update(notifier, true);
  static_cast<void>(manager.heard());
  Messages said;
  for (int i = 1; i <= 60; ++i) {
    clock.run_until(start.steady_ns + i * second);
    if (i <= 30) shown = fmt::format("{} W", i);
    update(notifier, true);
    for (const std::string& message : manager.heard())
      said.push_back(message);
  }
  CHECK(said == Messages{"STATUS=5 W", "STATUS=10 W", "STATUS=15 W", "STATUS=20 W", "STATUS=25 W", "STATUS=30 W"});
}

TEST_CASE_FIXTURE(Fixture, "RELOADING is sent with its timestamp; a refused reload stays in the status") {
  Service notifier = service();
  notifier.reloading();
  notifier.reloaded("");
  CHECK(manager.heard().empty());  // before READY a reload is not reported
  update(notifier, true);
  CHECK(manager.heard() == Messages{"READY=1", "STATUS=cpu ok"});

  notifier.reloading();
  notifier.reloaded("the last reload was refused, see the log");
  update(notifier, true);
  const Messages refused = manager.heard();
  REQUIRE(refused.size() == 3);
  CHECK(refused[0].starts_with("RELOADING=1\nMONOTONIC_USEC="));
  CHECK(std::stoll(refused[0].substr(refused[0].rfind('=') + 1)) > 0);
  CHECK(refused[1] == "READY=1");
  CHECK(refused[2] == "STATUS=cpu ok; the last reload was refused, see the log");

  notifier.reloading();
  notifier.reloaded("");
  update(notifier, true);
  CHECK(manager.heard().back() == "STATUS=cpu ok");
  notifier.stopping();
  CHECK(manager.heard() == Messages{"STOPPING=1\nSTATUS=storing the last samples"});
}

TEST_CASE_FIXTURE(Fixture, "the watchdog is fed at half its interval, and not while the loop stalls") {
  const Service notifier = service(4'000'000);
  clock.run_until(start.steady_ns + 10 * second);
  CHECK(manager.heard() == Messages(6, "WATCHDOG=1"));  // at 0, 2, 4, 6, 8, 10 s
  clock.stall(60 * second);
  CHECK(manager.heard().empty());
  clock.run_until(clock.now().steady_ns + second);
  CHECK(manager.heard() == Messages{"WATCHDOG=1"});  // no burst to catch up
}

TEST_CASE_FIXTURE(Fixture, "without a watchdog nothing is fed") {
  const Service notifier = service();
  clock.run_until(start.steady_ns + 60 * second);
  CHECK(manager.heard().empty());
}

TEST_CASE("the manager may listen in the abstract namespace; an invalid address means no manager") {
  asio::io_context loop;
  fakes::VirtualClock clock(loop, start);
  const std::string name = fmt::format("@perjoule-test-{}", ::getpid());
  const Manager manager(name);
  Service(loop, clock, {name, 0, false}).stopping();
  CHECK(manager.heard().size() == 1);
  for (const std::string& address : {std::string(), std::string("@"), std::string("relative"), std::string("vsock:2:1"),
                                     "/" + std::string(200, 'x'), std::string("/nowhere/at/all")}) {
    Service notifier(loop, clock, {address, 1'000'000, false});
    notifier.opening("x");
    notifier.update(true, [] { return std::string("x"); });
    notifier.stopping();
  }
  loop.poll();
}

TEST_CASE_FIXTURE(Fixture, "the daemon does not wait for a manager that does not read, and sends READY again later") {
  Service notifier = service();
  for (int i = 0; i < 10'000; ++i)
    notifier.opening("x");  // more messages than the socket's queue holds
  update(notifier, true);
  CHECK(manager.heard().back() != "READY=1");
  update(notifier, true);
  CHECK(manager.heard().front() == "READY=1");
}

TEST_CASE("the status line: sources that work or not, power, addresses, size of the history") {
  Latest latest;
  Ledger ledger({}, "boot");
  Recorder recorder(latest, ledger, nullptr, {});
  Sources sources(recorder, {});
  const std::vector<std::string> addresses = {"127.0.0.1:10190", "[::1]:10190"};
  const auto line = [&](std::optional<std::int64_t> bytes) {
    return status_line(sources, latest, start.steady_ns, addresses, bytes);
  };
  CHECK(line(std::nullopt) == "scrape 127.0.0.1:10190, [::1]:10190; no history");

  for (const char* gpu : {"GPU-0", "GPU-1", "GPU-2"})
    sources.sampled("nvml", gpu, {SourceState::ok, "", "", 0, 0}, start);
  sources.sampled("rapl", "package-0", {SourceState::ok, "", "", 0, 0}, start);
  sources.sampled("cpu", "", {SourceState::ok, "", "", 0, 0}, start);
  sources.sampled("hwmon", "", {SourceState::absent, "", "", 0, 0}, start);
  sources.expect("textfile", "");
  const auto id = recorder.series().identify(node_power, label_values({"meter"}));
  REQUIRE(id);
  const Sample sample{*id, 2431.4};
  latest.set(std::span(&sample, 1), start.steady_ns, second);
  CHECK(line(0) == "3 GPUs; cpu, rapl ok; 2431 W; scrape 127.0.0.1:10190, [::1]:10190");
  CHECK(line(41 << 20).ends_with("; history 41 MiB"));
  CHECK(line(3 << 18).ends_with("; history 0.8 MiB"));

  sources.timed_out("nvml", "GPU-1", "hangs", start);
  sources.sampled("nvml", "GPU-2", {SourceState::error, "lost", "", 0, 0}, start);
  sources.sampled("textfile", "", {SourceState::denied, "", "", 0, 0}, start);
  CHECK(line(0).starts_with("1 GPU; cpu, rapl ok; textfile denied; nvml (2 of 3) stuck; 2431 W; "));
}
