#include "daemon/alerts/notify/maintenance.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <random>

#include "daemon/alerts/notify/maintenance_watch.hpp"
#include "tests/fakes/hand_lane.hpp"
#include "tests/fakes/tree.hpp"
#include "tests/fakes/virtual_clock.hpp"

namespace perjoule::alerts {
namespace {

constexpr std::int64_t now_ms = 1'795'514'400'000;  // 2026-11-24T10:00:00Z
constexpr std::int64_t hour_ms = 3'600'000;

std::string refused(std::string_view text) {
  const Result<Maintenance> parsed = parse_maintenance(text, now_ms);
  REQUIRE_FALSE(parsed.has_value());
  CHECK(parsed.error().fault == Fault::broken);
  const std::string& what = parsed.error().what;
  CHECK(what.find("; expected { \"until\"") != std::string::npos);
  return what.substr(0, what.find("; expected"));
}

TEST_CASE("a maintenance file: what a shell line writes, and what perjouled writes") {
  const Maintenance job = *parse_maintenance("{\"until\": 1795518000, \"reason\": \"job 4711\"}\n", now_ms);
  CHECK(job == Maintenance{now_ms + hour_ms, "job 4711"});
  CHECK(*parse_maintenance(R"({"until": "2026-11-24T11:00:00Z"})", now_ms) == Maintenance{now_ms + hour_ms, ""});
  CHECK(*parse_maintenance(R"({"until": "2026-11-24T12:00:00+01:00", "//": "for the night"})", now_ms) ==
        Maintenance{now_ms + hour_ms, ""});
  CHECK(parse_maintenance(R"({"until": 0})", now_ms)->until_ms == 0);  // it is over
  CHECK(parse_maintenance(R"({"until": 1795518000, "reason": ""})", now_ms)->reason.empty());
  const Maintenance quoted{now_ms + 1'234, "a \"quoted\" reason\\ with \xC3\xA4"};
  CHECK(*parse_maintenance(maintenance_text(quoted), now_ms) == quoted);
}

TEST_CASE("a file that is no maintenance is refused with what was read") {
  CHECK_FALSE(refused("").empty());
  CHECK(refused("yes") != "");
  CHECK(refused("[]") == "expected an object, got an array");
  CHECK(refused("{}") == "missing \"until\"");
  CHECK(refused(R"({"until": "tomorrow"})") == "until: \"tomorrow\" is not a time");
  CHECK(refused(R"({"until": -1})") == "until: the number is not in seconds since the epoch");
  CHECK(refused(R"({"until": 1795518000000})") == "until: the number is not in seconds since the epoch");
  CHECK(refused(R"({"until": true})").starts_with("until: expected a number"));
  CHECK(refused(R"({"til": 1795518000})").starts_with("til: unknown key"));
  CHECK(refused(R"({"until": "2026-12-25T10:00:00Z"})") == "2026-12-25T10:00:00Z is more than 30 d ahead");
  CHECK(parse_maintenance(R"({"until": "2026-12-24T10:00:30Z"})", now_ms).has_value());
  CHECK(refused(R"({"until": 1795518000, "reason": 5})").starts_with("reason: expected a string"));
  CHECK(refused("{\"until\": 1, \"reason\": \"" + std::string(reason_max + 1, 'x') + "\"}").starts_with("reason: "));
  CHECK(refused(std::string(5'000, ' ')) == "it has more than 4096 bytes");
}

TEST_CASE("random files neither crash nor silence the alerts for more than 30 days") {
  std::mt19937_64 random(30);
  const std::string whole = R"({"until": 1795518000, "reason": "job 4711"})";
  for (int round = 0; round < 20'000; ++round) {
    std::string text = whole;
    for (std::size_t edits = 1 + random() % 3; edits > 0; --edits)
      text[random() % text.size()] = static_cast<char>(random() % 256);
    const Result<Maintenance> parsed = parse_maintenance(text, now_ms);
    if (parsed) CHECK(parsed->until_ms <= now_ms + maintenance_max_ms + 60'000);
  }
}

TEST_CASE("the file is replaced in one step, readable for the daemon, and never followed to another place") {
  const Tree tree;
  const std::filesystem::path path = tree.at("maintenance.json");
  CHECK_FALSE(read_maintenance(path, now_ms)->has_value());
  CHECK_FALSE(*remove_maintenance(path));
  tree.write("maintenance.json.new", "of a writer that was killed");
  const Maintenance first{now_ms + hour_ms, "firmware"};
  REQUIRE(write_maintenance(path, first).has_value());
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  CHECK((status.st_mode & 0777U) == 0644U);
  CHECK(**read_maintenance(path, now_ms) == first);
  REQUIRE(write_maintenance(path, {now_ms + 2 * hour_ms, ""}).has_value());
  CHECK((*read_maintenance(path, now_ms))->until_ms == now_ms + 2 * hour_ms);
  CHECK_FALSE(std::filesystem::exists(tree.at("maintenance.json.new")));
  CHECK(*remove_maintenance(path));
  CHECK_FALSE(read_maintenance(path, now_ms)->has_value());

  tree.write("elsewhere", maintenance_text(first));
  std::filesystem::create_symlink(tree.at("elsewhere"), path);
  CHECK_FALSE(read_maintenance(path, now_ms).has_value());
  CHECK(*remove_maintenance(path));
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  CHECK(read_maintenance(path, now_ms).error().what.starts_with("it is not a regular file"));
  CHECK(write_maintenance(tree.at("missing/maintenance.json"), first).error().fault == Fault::absent);
}

struct Watched {
  asio::io_context loop{1};
  fakes::VirtualClock clock{loop, {1'000 * nanoseconds_per_second, now_ms}};
  Tree tree;
  std::shared_ptr<fakes::HandLane::Call> call = std::make_shared<fakes::HandLane::Call>();
  std::optional<MaintenanceWatch> watch;

  void open() {
    watch.emplace([this] { return std::make_unique<fakes::HandLane>(call); }, clock, tree.at("maintenance.json"));
  }
  void announce(std::int64_t until_ms) {
    REQUIRE(write_maintenance(tree.at("maintenance.json"), {until_ms, "r"}).has_value());
  }
  void look() {
    watch->look();
    call->finish();
  }
  void pass(std::int64_t ms) { clock.run_until(clock.now().steady_ns + ms * nanoseconds_per_millisecond); }
};

TEST_CASE("a maintenance is on from the start, ends by itself, and can be ended and prolonged") {
  Watched test;
  test.announce(now_ms + 5'000);
  test.open();
  CHECK(test.watch->on()->until_ms == now_ms + 5'000);  // before the first call of look()
  test.pass(4'999);
  CHECK(test.watch->on());
  test.pass(1);
  CHECK_FALSE(test.watch->on());
  test.announce(now_ms + hour_ms);
  test.look();
  CHECK(test.watch->on());
  REQUIRE(*remove_maintenance(test.tree.at("maintenance.json")));
  test.look();
  CHECK_FALSE(test.watch->on());
}

TEST_CASE("a disk that hangs leaves the last state in force, until its end") {
  Watched test;
  test.announce(now_ms + 60'000);
  test.open();
  test.watch->look();
  for (int second = 0; second < 59; ++second) {
    test.pass(1'000);
    test.watch->look();
    CHECK(test.call->calls == 1);
    CHECK(test.watch->on());
  }
  test.pass(1'000);
  CHECK_FALSE(test.watch->on());
  test.announce(now_ms + hour_ms);
  test.call->finish();  // the read that hung returns what was there when it was done
  CHECK(test.watch->on());
}

TEST_CASE("a wrong file means no maintenance, and a reason to warn") {
  Watched test;
  test.tree.write("maintenance.json", "{\"until\": \"soon\"}");
  test.open();
  CHECK_FALSE(test.watch->on());
  REQUIRE(test.watch->refused());
  CHECK(test.watch->refused()->remedy == "sudo perjouled maintenance off");
  test.announce(now_ms + hour_ms);
  test.look();
  CHECK_FALSE(test.watch->refused());
  CHECK(test.watch->on());
  test.call->no_thread = true;
  test.watch->look();
  CHECK(test.watch->on());
}

}  // namespace
}  // namespace perjoule::alerts
