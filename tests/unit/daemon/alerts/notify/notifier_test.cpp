// The notifier on virtual time: receivers that are up, down, slow or rejecting, and a daemon that is killed.
#include "daemon/alerts/notify/notifier.hpp"

#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "config/json_reader.hpp"
#include "config/text.hpp"
#include "tests/fakes/virtual_clock.hpp"

using namespace perjoule;
using namespace perjoule::alerts;

namespace {

constexpr std::int64_t second_ns = nanoseconds_per_second;
constexpr Stamp start{1'000 * second_ns, 1'795'514'400'000};  // 2026-11-24T10:00:00Z
const std::string manager = "http://am:9093";
const std::string hook = "http://hook/secret";

// One alert of one POST that a receiver accepted.
struct Post {
  std::int64_t second = 0;  // since the start
  std::string url;
  bool resolved = false;
  std::string gpu;
  std::string starts_at;
  std::string ends_at;
};

const config::json::Value& member(const config::json::Value& object, std::string_view key) {
  for (const config::json::Value& item : object.items) {
    if (item.key == key) return item;
  }
  FAIL("no member " << key);
  return object;
}

config::Receiver receiver(std::string url, std::string name = {}) {
  return {std::move(url), std::move(name), {}};
}

struct World {
  asio::io_context loop{1};
  fakes::VirtualClock clock{loop, start};
  std::map<std::string, unsigned> status;  // HTTP status by URL; 0: connection refused; not listed: 200
  std::string retry_after;                 // of every response that is not 200
  std::int64_t latency_ns = 5 * nanoseconds_per_millisecond;
  std::vector<Post> posts;
  std::map<std::string, int> attempts;  // by URL
  std::vector<std::string> changes;
  std::map<std::string, std::string> kept;
  std::map<std::string, std::string> committed;
  std::optional<Notifier> notifier;
  NotifierSettings settings;

  World() {
    settings.external_labels = {{"instance", "node1:10190"}};
    settings.alertmanagers = {receiver(manager)};
    settings.webhooks = {receiver(hook)};
  }
  ~World() {
    notifier.reset();
    pass(1000);
  }
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void open() {
    const auto save = [this](const std::string& key, const std::string& text) {
      if (text.empty()) {
        kept.erase(key);
      } else {
        kept[key] = text;
      }
    };
    const auto change = [this](const ReceiverStats& receiver, Notifier::Change what, const Error& error) {
      const char* const words[] = {"failing", "well", "refused"};
      changes.push_back(receiver.kind + ' ' + receiver.receiver + ' ' + words[static_cast<std::size_t>(what)] + ' ' +
                        error.what);
    };
    notifier.emplace(
        loop, clock, [this](http::Call call) { return post(this, std::move(call)); }, save, change);
    const std::vector<std::pair<std::string, std::string>> rows(kept.begin(), kept.end());
    CHECK(notifier->restore(rows) == 0);
    notifier->configure(settings);
  }
  // Like kill -9: changes that were not committed are lost.
  void crash() {
    notifier.reset();
    clock.run_until(clock.now().steady_ns);
    kept = committed;
  }
  void pass(std::int64_t seconds) { clock.run_until(clock.now().steady_ns + seconds * second_ns); }
  [[nodiscard]] std::int64_t second() const { return (clock.now().steady_ns - start.steady_ns) / second_ns; }

  void notify(const std::string& gpu, Phase phase) { notifier->notify(alert(gpu, phase)); }
  [[nodiscard]] Alert alert(const std::string& gpu, Phase phase) const {
    Alert made;
    made.name = "Hot";
    made.severity = "warning";
    made.labels = {{"gpu", gpu}};
    made.phase = phase;
    made.starts_ms = clock.now().wall_ms;
    made.ends_ms = clock.now().wall_ms;
    made.summary = "hot";
    return made;
  }
  [[nodiscard]] std::vector<Post> of(const std::string& url) const {
    std::vector<Post> found;
    for (const Post& post : posts) {
      if (post.url.starts_with(url)) found.push_back(post);
    }
    return found;
  }

  static asio::awaitable<Result<http::Answer>> post(World* world, http::Call call) {
    ++world->attempts[call.url];
    const std::string fires_until = text::rfc3339(world->clock.now().wall_ms + 240'000);
    const std::unique_ptr<Alarm> alarm = world->clock.alarm();
    co_await alarm->wait_until(world->clock.now().steady_ns + world->latency_ns);
    const auto found = world->status.find(call.url);
    const unsigned status = found == world->status.end() ? 200 : found->second;
    if (status == 0) co_return Error{Fault::transient, "refused"};
    if (status == 200) world->take(call, fires_until);
    http::Answer answer;
    answer.status = status;
    answer.retry_after = status == 200 ? "" : world->retry_after;
    answer.excerpt = "as you say";
    co_return answer;
  }
  void take(const http::Call& call, const std::string& fires_until) {
    CHECK(call.method == "POST");
    const config::json::Document document = config::json::read(call.body);
    REQUIRE(document.root.has_value());
    const bool is_hook = document.root->type == config::json::Type::object;
    const config::json::Value& alerts = is_hook ? member(*document.root, "alerts") : *document.root;
    for (const config::json::Value& item : alerts.items) {
      CHECK(member(member(item, "labels"), "instance").text == "node1:10190");
      Post post;
      post.second = second();
      post.url = call.url;
      post.gpu = member(member(item, "labels"), "gpu").text;
      post.starts_at = member(item, "startsAt").text;
      post.ends_at = member(item, "endsAt").text;
      post.resolved = is_hook ? member(item, "status").text == "resolved" : post.ends_at != fires_until;
      posts.push_back(post);
    }
  }
};

}  // namespace

TEST_CASE("notifier: an incident goes to every receiver at once, and to an Alertmanager again every minute") {
  World world;
  world.settings.alertmanagers.push_back(receiver("http://am2:9093/base/"));
  world.open();
  world.pass(10);
  world.notify("0", Phase::pending);
  world.pass(1);
  CHECK(world.posts.empty());
  world.notify("0", Phase::firing);
  world.pass(1);
  CHECK(world.posts.size() == 3);
  CHECK(world.attempts.contains("http://am2:9093/base/api/v2/alerts"));
  world.pass(120);
  world.notify("0", Phase::resolved);
  world.pass(3600);

  const std::vector<Post> hooked = world.of(hook);
  REQUIRE(hooked.size() == 2);
  CHECK(!hooked[0].resolved);
  CHECK(hooked[1].resolved);
  CHECK(hooked[0].starts_at == "2026-11-24T10:00:11Z");
  CHECK(hooked[1].starts_at == "2026-11-24T10:00:11Z");
  CHECK(hooked[1].ends_at == "2026-11-24T10:02:12Z");
  const std::vector<Post> managed = world.of(manager);
  REQUIRE(managed.size() == 3 + 15);
  CHECK(managed[0].ends_at == "2026-11-24T10:04:11Z");
  CHECK(managed[1].second - managed[0].second == 60);
  CHECK(managed[2].second - managed[1].second == 60);
  for (std::size_t i = 3; i < managed.size(); ++i)
    CHECK(managed[i].ends_at == "2026-11-24T10:02:12Z");
  CHECK(world.of("http://am2:9093").size() == managed.size());
  CHECK(world.kept.empty());
  CHECK(world.changes.empty());
}

TEST_CASE("notifier: a receiver that is down does not delay others, is retried with back-off, and catches up") {
  World world;
  world.status[manager + "/api/v2/alerts"] = 0;
  world.open();
  world.notify("0", Phase::firing);
  world.pass(1);
  CHECK(world.of(hook).size() == 1);
  world.pass(599);
  const int tried = world.attempts[manager + "/api/v2/alerts"];
  CHECK(tried >= 20);
  CHECK(tried <= 30);
  world.status.clear();
  world.pass(31);
  REQUIRE(world.of(manager).size() >= 1);
  CHECK(world.of(manager)[0].starts_at == "2026-11-24T10:00:00Z");
  CHECK(!world.of(manager)[0].resolved);
  const std::vector<std::string> said = {"alertmanager am:9093 failing refused", "alertmanager am:9093 well "};
  CHECK(world.changes == said);
  CHECK(world.notifier->stats()[0].failures == static_cast<std::uint64_t>(tried));
  CHECK(world.notifier->stats()[0].pending == 0);
  world.notify("1", Phase::firing);  // sent at once, because the back-off was reset
  world.pass(1);
  CHECK(world.of(manager).back().gpu == "1");
}

TEST_CASE("notifier: an incident that ends before the receiver is reachable again") {
  World world;
  world.status[manager + "/api/v2/alerts"] = 503;
  world.status[hook] = 0;
  world.open();
  world.notify("0", Phase::firing);
  world.pass(200);
  world.notify("0", Phase::resolved);
  world.pass(400);
  world.status.clear();
  world.pass(31);
  REQUIRE(!world.of(manager).empty());
  for (const Post& post : world.of(manager)) {
    CHECK(post.resolved);
    CHECK(post.starts_at == "2026-11-24T10:00:00Z");
    CHECK(post.ends_at == "2026-11-24T10:03:20Z");
  }
  REQUIRE(world.of(hook).size() == 2);
  CHECK(!world.of(hook)[0].resolved);
  CHECK(world.of(hook)[1].resolved);
}

TEST_CASE("notifier: a message that the receiver rejects does not block the following ones") {
  for (const unsigned status : {400U, 413U, 422U}) {
    World world;
    world.settings.alertmanagers.clear();
    world.status[hook] = status;
    world.open();
    world.notify("0", Phase::firing);
    world.pass(100);
    CHECK(world.attempts[hook] == 1);
    world.status.clear();
    world.notify("1", Phase::firing);
    world.pass(1);
    REQUIRE(world.of(hook).size() == 1);
    CHECK(world.of(hook)[0].gpu == "1");
    CHECK(world.notifier->stats()[0].dropped == 1);
    CHECK(world.notifier->stats()[0].failures == 1);
    REQUIRE(world.changes.size() == 1);
    CHECK(world.changes[0].find("refused HTTP status 4") != std::string::npos);
    CHECK(world.changes[0].find("secret") == std::string::npos);
  }
  for (const unsigned status : {301U, 401U, 404U, 408U, 429U, 500U, 503U}) {
    World world;
    world.settings.alertmanagers.clear();
    world.status[hook] = status;
    world.open();
    world.notify("0", Phase::firing);
    world.pass(10);
    CHECK(world.attempts[hook] > 2);
    world.status.clear();
    world.pass(31);
    CHECK(world.of(hook).size() == 1);
  }
}

TEST_CASE("notifier: each change of cause is reported once, and not each failure") {
  World world;
  world.settings.alertmanagers.clear();
  world.status[hook] = 0;
  world.open();
  world.notify("0", Phase::firing);
  world.pass(100);
  world.status[hook] = 503;
  world.pass(100);
  world.status[hook] = 401;
  world.pass(100);
  world.status[hook] = 0;
  world.pass(100);
  world.status.clear();
  world.pass(31);
  const std::vector<std::string> expected = {
      "webhook hook failing refused", "webhook hook failing HTTP status 503: as you say",
      "webhook hook failing HTTP status 401: as you say", "webhook hook failing refused", "webhook hook well "};
  CHECK(world.changes == expected);
}

TEST_CASE("notifier: Retry-After delays the next POST, at most ten minutes") {
  const struct {
    const char* field;
    std::int64_t second;  // of the second POST
  } cases[] = {{"120", 120},
               {"0", 1},
               {"soon", 1},
               {"86400", 600},
               {"99999999999999999999", 600},
               {"Tue, 24 Nov 2026 10:03:20 GMT", 200},
               {"Tue, 24 Nov 2026 09:00:00 GMT", 1}};
  for (const auto& each : cases) {
    CAPTURE(each.field);
    World world;
    world.latency_ns = 0;
    world.settings.alertmanagers.clear();
    world.status[hook] = 503;
    world.retry_after = each.field;
    world.open();
    world.notify("0", Phase::firing);
    world.clock.run_until(start.steady_ns + each.second * second_ns - second_ns / 2);
    CHECK(world.attempts[hook] == 1);
    world.status.clear();
    world.pass(1);
    CHECK(world.of(hook).size() == 1);
    CHECK(world.notifier->long_waits() == (each.second == 600 ? 1 : 0));
  }
}

TEST_CASE("notifier: a named receiver whose URL or access changes keeps its incidents and is tried at once") {
  World world;
  world.settings.alertmanagers.clear();
  world.settings.webhooks = {receiver(hook, "site")};
  world.status[hook] = 401;
  world.retry_after = "600";
  world.open();
  world.notify("0", Phase::firing);
  world.pass(10);
  CHECK(world.attempts[hook] == 1);
  CHECK(world.notifier->stats()[0].receiver == "site");
  world.settings.webhooks = {receiver("http://moved/", "site")};
  world.notifier->configure(world.settings);
  world.pass(1);
  CHECK(world.of("http://moved/").size() == 1);
  CHECK(world.notifier->stats()[0].delivered == 1);
  world.notifier->configure(world.settings);
  world.pass(100);
  CHECK(world.of("http://moved/").size() == 1);
}

TEST_CASE("notifier: a step of the wall clock changes timestamps and no interval") {
  World world;
  world.settings.webhooks.clear();
  world.open();
  world.notify("0", Phase::firing);
  world.pass(1);
  world.clock.step_wall(-7'200'000);
  world.pass(60);
  world.clock.step_wall(86'400'000);
  world.pass(60);
  const std::vector<Post> managed = world.of(manager);
  REQUIRE(managed.size() == 3);
  for (const Post& post : managed)
    CHECK(post.starts_at == "2026-11-24T10:00:00Z");
  CHECK(managed[1].second == 60);
  CHECK(managed[2].second == 120);
  CHECK(managed[1].ends_at == "2026-11-24T10:00:00Z");  // endsAt is never before startsAt
  CHECK(managed[2].ends_at == "2026-11-25T08:06:00.01Z");
}

TEST_CASE("notifier: a reload adds and removes receivers and keeps the state of the others") {
  World world;
  world.open();
  world.notify("0", Phase::firing);
  world.pass(1);
  world.settings.webhooks = {receiver(hook), receiver("http://second/")};
  world.settings.alertmanagers.clear();
  world.settings.external_labels = {{"instance", "node2:10190"}};  // for new incidents only
  world.notifier->configure(world.settings);
  world.pass(1);
  CHECK(world.of(hook).size() == 1);
  CHECK(world.of("http://second/").size() == 1);
  const std::size_t before = world.of(manager).size();
  world.notify("0", Phase::resolved);
  world.pass(300);
  CHECK(world.of(hook).size() == 2);
  CHECK(world.of("http://second/").size() == 2);
  CHECK(world.of(manager).size() == before);
  CHECK(world.kept.empty());
}

TEST_CASE("notifier: after a restart a webhook gets nothing twice and misses nothing") {
  World world;
  world.open();
  world.notify("0", Phase::firing);
  world.notify("1", Phase::firing);
  world.pass(1);
  world.notify("1", Phase::resolved);
  world.status[hook] = 0;
  world.pass(1);
  world.committed = world.kept;
  world.crash();
  world.pass(3600);  // no daemon is running
  world.status.clear();
  world.open();
  const std::vector<Alert> firing = {world.alert("0", Phase::firing)};
  world.notifier->reconcile(firing, [](const Alert&) { return "gone"; });
  world.pass(1);
  world.notify("0", Phase::resolved);
  world.pass(1);
  std::map<std::string, std::vector<bool>> received;
  std::map<std::string, std::set<std::string>> starts;
  for (const Post& post : world.of(hook)) {
    received[post.gpu].push_back(post.resolved);
    starts[post.gpu].insert(post.starts_at);
  }
  CHECK(received["0"] == std::vector<bool>{false, true});
  CHECK(received["1"] == std::vector<bool>{false, true});
  CHECK(starts["0"] == std::set<std::string>{"2026-11-24T10:00:00Z"});
  CHECK(world.of(manager).back().resolved);
}

TEST_CASE("notifier: while it is held nothing is sent, not even a repetition; afterwards everything that is due") {
  World world;
  world.open();
  world.notify("0", Phase::firing);
  world.pass(1);
  CHECK(world.of(hook).size() == 1);
  const std::size_t sent = world.posts.size();
  world.notifier->hold(true);
  world.notify("1", Phase::firing);
  world.notify("0", Phase::resolved);
  world.pass(3'600);
  CHECK(world.posts.size() == sent);
  world.notifier->hold(false);
  world.pass(1);
  CHECK(world.of(hook).size() == 3);
  CHECK(world.of(hook).at(1).resolved);
  CHECK(world.of(manager).size() == 3);
  world.pass(61);
  CHECK(world.of(manager).size() == 4);  // of the alert that fires
}

// Alerts fire and resolve, receivers fail and recover, the daemon is killed. At the end every receiver has the right
// state. Each webhook has got the firing and the end of each committed incident in order; without a kill, exactly once.
TEST_CASE("notifier: random incidents, failures and restarts") {
  for (unsigned seed = 1; seed <= 40; ++seed) {
    INFO("seed " << seed);
    std::mt19937 random(seed);
    const bool kills = seed % 2 == 0;
    World world;
    world.latency_ns = static_cast<std::int64_t>(random() % 1000) * nanoseconds_per_millisecond;
    world.open();
    std::map<std::string, Alert> firing;
    std::map<std::string, std::vector<std::string>> starts;  // of each GPU's incidents
    const auto toggle = [&](const std::string& gpu) {
      const auto found = firing.find(gpu);
      if (found == firing.end()) {
        firing[gpu] = world.alert(gpu, Phase::firing);
        starts[gpu].push_back(text::rfc3339(firing[gpu].starts_ms));
        world.notifier->notify(firing[gpu]);
      } else {
        Alert ended = found->second;
        ended.phase = Phase::resolved;
        ended.ends_ms = world.clock.now().wall_ms;
        world.notifier->notify(ended);
        firing.erase(found);
      }
    };
    for (int step = 0; step < 300; ++step) {
      const std::string url = random() % 2 == 0 ? hook : manager + "/api/v2/alerts";
      const unsigned kinds[] = {200, 200, 0, 503};
      if (random() % 10 == 0) world.status[url] = kinds[random() % 4];
      if (random() % 3 == 0) {
        toggle(std::to_string(random() % 4));
        world.committed = world.kept;  // the ledger commits an alert's change and the outbox together
      }
      if (random() % 4 == 0) world.committed = world.kept;
      if (kills && random() % 20 == 0) {
        world.crash();
        world.pass(static_cast<std::int64_t>(random() % 100));
        world.open();
      }
      world.pass(1 + static_cast<std::int64_t>(random() % 20));
    }
    world.status.clear();
    for (const auto& gpu : {"0", "1", "2", "3"}) {
      if (firing.contains(gpu)) toggle(gpu);
    }
    world.pass(1200);
    CHECK(world.kept.empty());
    CHECK(world.notifier->stats()[1].pending == 0);
    for (const auto& [gpu, expected] : starts) {
      std::map<std::string, std::vector<bool>> received;
      for (const Post& post : world.of(hook)) {
        if (post.gpu == gpu) received[post.starts_at].push_back(post.resolved);
      }
      for (const std::string& start_of_one : expected) {
        const std::vector<bool>& heard = received[start_of_one];
        REQUIRE(!heard.empty());
        CHECK(!heard.front());
        CHECK(heard.back());
        if (!kills) CHECK(heard.size() == 2);
      }
      CHECK(received.size() == expected.size());
      const std::vector<Post> managed = world.of(manager);
      for (auto last = managed.rbegin(); last != managed.rend(); ++last) {
        if (last->gpu != gpu) continue;
        CHECK(last->resolved);
        CHECK(last->starts_at == expected.back());
        break;
      }
    }
  }
}
