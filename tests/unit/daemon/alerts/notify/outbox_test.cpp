#include "daemon/alerts/notify/outbox.hpp"

#include <doctest/doctest.h>

#include <map>
#include <optional>
#include <random>
#include <string>

#include "daemon/alerts/notice.hpp"

using namespace perjoule;
using namespace perjoule::alerts;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
const ReceiverKey hook = "hook";
const ReceiverKey manager = "manager";

using Kept = std::map<std::string, std::string>;
Outbox::Save into(Kept& kept) {
  return [&kept](const std::string& key, const std::string& text) {
    if (text.empty()) {
      kept.erase(key);
    } else {
      kept[key] = text;
    }
  };
}

std::vector<std::pair<std::string, std::string>> rows(const Kept& kept) {
  return {kept.begin(), kept.end()};
}

Stamp at(std::int64_t second) {
  return {second * second_ns, 1'795'000'000'000 + second * 1000};
}

Alert alert(const std::string& gpu, Phase phase, std::int64_t second) {
  Alert made;
  made.name = "Hot";
  made.severity = "warning";
  made.labels = {{"gpu", gpu}};
  made.phase = phase;
  made.starts_ms = at(second).wall_ms;
  if (phase == Phase::resolved) made.ends_ms = at(second).wall_ms;
  made.summary = "GPU " + gpu + " is hot.";
  return made;
}

struct Fixture {
  Kept kept;
  Outbox outbox{into(kept), 5};
  Fixture() { outbox.set_receivers({{hook, ReceiverKind::webhook}, {manager, ReceiverKind::alertmanager}}); }
  bool fire(const std::string& gpu, std::int64_t second) {
    return outbox.notify(alert(gpu, Phase::firing, second), {{"instance", "a"}}, at(second));
  }
  bool resolve(const std::string& gpu, std::int64_t second) {
    return outbox.notify(alert(gpu, Phase::resolved, second), {{"instance", "a"}}, at(second));
  }
  std::optional<Delivery> deliver(const ReceiverKey& receiver, std::int64_t second) {
    const auto items = outbox.next(receiver, at(second));
    if (items.empty()) return std::nullopt;
    outbox.delivered(receiver, items, at(second));
    return items.front().sent;
  }
};

}  // namespace

TEST_CASE("an incident is written and read back, for any labels") {
  Incident incident;
  incident.alert = alert("\"\\\n{}\xF0\x9F\x94\xA5", Phase::resolved, 100);
  incident.alert.reason = "no data";
  incident.alert.runbook = "gpu-thermal-margin";
  incident.external = {{"instance", "a:1"}, {"source", "perjouled"}};
  incident.deliveries = {
      {"0123", {Delivery::nothing, 0}}, {"4567", {Delivery::firing, 0}}, {"89ab", {Delivery::resolved, 0}}};
  const std::string text = to_text(incident);
  const std::optional<Incident> back = incident_from(text);
  REQUIRE(back);
  CHECK(to_text(*back) == text);
  CHECK(same(back->alert, incident.alert));
  CHECK(back->alert.phase == Phase::resolved);
  CHECK(back->alert.starts_ms == incident.alert.starts_ms);
  CHECK(back->alert.reason == "no data");
  CHECK(back->external == incident.external);
  CHECK(back->deliveries.at("4567").sent == Delivery::firing);

  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) {
    std::string spoilt = text;
    for (std::size_t n = 1 + random() % 3; n > 0; --n)
      spoilt[random() % spoilt.size()] = static_cast<char>(random());
    if (random() % 3 == 0) spoilt.resize(random() % spoilt.size());
    const std::optional<Incident> read = incident_from(spoilt);
    if (read) CHECK(incident_from(to_text(*read)).has_value());
  }
  for (const char* no : {"", "{}", "[]", "null", "{\"alert\":1}"})
    CHECK(!incident_from(no));
}

TEST_CASE("a webhook gets the firing once and the resolution once") {
  Fixture test;
  CHECK(test.fire("0", 10));
  CHECK(!test.fire("0", 11));  // the same incident
  CHECK(test.outbox.pending(hook) == 1);
  CHECK(test.deliver(hook, 12) == Delivery::firing);
  CHECK(test.outbox.pending(hook) == 0);
  CHECK(!test.deliver(hook, 500));
  CHECK(test.outbox.due_ns(hook) == Outbox::never);
  CHECK(test.resolve("0", 600));
  CHECK(!test.resolve("0", 601));
  CHECK(test.deliver(hook, 602) == Delivery::resolved);
  CHECK(!test.deliver(hook, 603));
}

TEST_CASE("a webhook that was down gets both events of an incident, in order") {
  Fixture test;
  test.fire("0", 10);
  test.fire("1", 11);
  test.resolve("0", 20);
  CHECK(test.deliver(hook, 30) == Delivery::firing);
  CHECK(test.deliver(hook, 30) == Delivery::resolved);
  CHECK(test.deliver(hook, 30) == Delivery::firing);
  CHECK(!test.deliver(hook, 30));
}

TEST_CASE("an Alertmanager gets a firing alert every minute, and its resolution for 15 minutes") {
  Fixture test;
  test.fire("0", 0);
  CHECK(test.deliver(manager, 0) == Delivery::firing);
  CHECK(test.outbox.due_ns(manager) == 60 * second_ns);
  CHECK(!test.deliver(manager, 59));
  CHECK(test.deliver(manager, 60) == Delivery::firing);
  test.resolve("0", 100);
  CHECK(test.deliver(manager, 100) == Delivery::resolved);
  int repeated = 0;
  for (std::int64_t second = 101; second < 3000; ++second)
    repeated += test.deliver(manager, second).has_value() ? 1 : 0;
  CHECK(repeated == 14);
  test.deliver(hook, 3000);
  test.deliver(hook, 3000);
  CHECK(test.outbox.size() == 0);
  CHECK(test.kept.empty());
}

TEST_CASE("an Alertmanager that was down gets the resolution, however late") {
  Fixture test;
  test.fire("0", 0);
  test.resolve("0", 100);
  CHECK(test.outbox.due_ns(manager) == 0);
  CHECK(test.outbox.pending(manager) == 1);
  CHECK(test.deliver(manager, 50'000) == Delivery::resolved);
  CHECK(!test.deliver(manager, 60'000));
}

TEST_CASE("an alert that fires again replaces its earlier resolution for an Alertmanager, not for a webhook") {
  Fixture test;
  test.fire("0", 0);
  test.resolve("0", 10);
  test.fire("0", 20);
  const auto items = test.outbox.next(manager, at(20));
  REQUIRE(items.size() == 1);
  CHECK(test.outbox.find(items[0].id)->alert.starts_ms == at(20).wall_ms);
  CHECK(test.deliver(hook, 20) == Delivery::firing);
  CHECK(test.deliver(hook, 20) == Delivery::resolved);
  CHECK(test.deliver(hook, 20) == Delivery::firing);
  CHECK(!test.deliver(hook, 20));
}

TEST_CASE("an alert that ends while its POST is in flight is sent again as resolved") {
  Fixture test;
  test.fire("0", 0);
  const auto under_way = test.outbox.next(manager, at(0));
  test.resolve("0", 1);
  test.outbox.delivered(manager, under_way, at(2));
  CHECK(test.deliver(manager, 2) == Delivery::resolved);
}

TEST_CASE("over the limit the oldest resolved incident is dropped; firing ones are kept") {
  Fixture test;
  for (const char* gpu : {"0", "1", "2", "3", "4"})
    test.fire(gpu, 0);
  CHECK(!test.fire("5", 1));
  CHECK(test.outbox.dropped(hook) == 1);
  CHECK(test.outbox.dropped(manager) == 1);
  test.resolve("2", 2);
  test.resolve("0", 3);
  CHECK(test.fire("6", 4));  // in place of "0", the oldest
  CHECK(test.outbox.size() == 5);
  CHECK(test.outbox.dropped(hook) == 2);
  CHECK(test.kept.size() == 5);
  int delivered = 0;
  while (test.deliver(hook, 5))
    ++delivered;
  CHECK(delivered == 6);  // five firings and the resolution of "2"
}

TEST_CASE("a receiver that rejects a message does not get it again") {
  Fixture test;
  test.fire("0", 0);
  test.outbox.refused(hook, test.outbox.next(hook, at(0)), at(0));
  CHECK(test.outbox.dropped(hook) == 1);
  CHECK(test.outbox.next(hook, at(0)).empty());
  test.resolve("0", 1);
  CHECK(test.deliver(hook, 1) == Delivery::resolved);
}

TEST_CASE("after a restart an Alertmanager gets everything again and a webhook only what it has not got") {
  Fixture test;
  test.fire("0", 0);
  test.fire("1", 0);
  test.fire("2", 0);
  test.resolve("1", 5);
  test.resolve("2", 5);
  CHECK(test.deliver(hook, 6) == Delivery::firing);    // 0
  CHECK(test.deliver(hook, 6) == Delivery::firing);    // 1
  CHECK(test.deliver(hook, 6) == Delivery::resolved);  // 1
  test.deliver(manager, 6);
  Kept kept = test.kept;
  kept["outbox/0000000000000077"] = "garbage";
  kept["outbox/x"] = kept.begin()->second;

  Outbox after(into(kept), 5);
  CHECK(after.restore(rows(kept), at(1000)) == 2);
  CHECK(!kept.contains("outbox/x"));
  after.set_receivers(
      {{hook, ReceiverKind::webhook}, {manager, ReceiverKind::alertmanager}, {"new", ReceiverKind::webhook}});
  std::vector<Outbox::Item> items = after.next(hook, at(1000));
  REQUIRE(items.size() == 1);
  CHECK(items[0].sent == Delivery::firing);
  CHECK(after.find(items[0].id)->alert.labels == Labels{{"gpu", "2"}});
  CHECK(after.find(items[0].id)->external == Labels{{"instance", "a"}});
  CHECK(after.next(manager, at(1000)).size() == 3);
  items = after.next("new", at(1000));  // a new receiver gets no resolved incidents
  REQUIRE(items.size() == 1);
  after.delivered("new", items, at(1000));
  CHECK(after.next("new", at(1000)).empty());
  CHECK(after.notify(alert("9", Phase::firing, 1000), {}, at(1000)));
  CHECK(kept.size() == 4);
}

TEST_CASE("after a restart the evaluator decides what is open") {
  Fixture test;
  test.fire("0", 0);
  test.fire("1", 0);
  const std::vector<Alert> firing = {alert("1", Phase::firing, 500), alert("2", Phase::firing, 500)};
  CHECK(test.outbox.reconcile(
      firing, {}, [](const Alert&) { return "gone"; }, at(600)));
  std::map<std::string, std::pair<Phase, std::int64_t>> seen;
  for (const Outbox::Item& item : test.outbox.next(manager, at(600))) {
    const Alert& sent = test.outbox.find(item.id)->alert;
    seen[sent.labels[0].second] = {sent.phase, sent.starts_ms};
    if (sent.phase == Phase::resolved) {
      CHECK(sent.reason == "gone");
      CHECK(sent.ends_ms == at(600).wall_ms);
    }
  }
  const std::map<std::string, std::pair<Phase, std::int64_t>> expected = {
      {"0", {Phase::resolved, at(0).wall_ms}},
      {"1", {Phase::firing, at(0).wall_ms}},  // the same incident with the same start
      {"2", {Phase::firing, at(500).wall_ms}}};
  CHECK(seen == expected);
}

TEST_CASE("incidents are not kept for a receiver that is no longer configured") {
  Fixture test;
  test.fire("0", 0);
  test.resolve("0", 1);
  CHECK(test.kept.size() == 1);
  test.outbox.set_receivers({});
  CHECK(test.kept.empty());
  CHECK(test.fire("1", 2));
  CHECK(test.resolve("1", 3));
  CHECK(test.outbox.size() == 0);
}
