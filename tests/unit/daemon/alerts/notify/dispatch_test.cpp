#include "daemon/alerts/notify/dispatch.hpp"

#include <doctest/doctest.h>

#include <string>

#include "tests/fakes/hand_lane.hpp"
#include "tests/fakes/tree.hpp"
#include "tests/fakes/virtual_clock.hpp"

using namespace perjoule;
using namespace perjoule::alerts;

namespace {

constexpr Stamp start{1'000 * nanoseconds_per_second, 1'795'514'400'000};

struct Fixture {
  asio::io_context loop{1};
  fakes::VirtualClock clock{loop, start};
  Latest latest;
  Ledger ledger{{}, "boot"};
  Recorder recorder{latest, ledger, nullptr, {}};
  Log log{{config::LogLevel::error, config::LogFormat::logfmt}};

  Dispatch::Parts parts() {
    return {loop, clock, recorder, ledger, log, [] { return std::unique_ptr<Lane>(); }, "1", "127.0.0.1:10190"};
  }
  std::string text() {
    std::string out;
    latest.write(out, Format::text, clock.now().steady_ns);
    return out;
  }
};

config::Alerts to_webhooks(std::vector<std::string> urls) {
  config::Alerts settings;
  settings.external_labels = {{"instance", "{hostname}:{port}"}};
  for (std::string& url : urls)
    settings.webhooks.push_back({std::move(url), {}, {}});
  return settings;
}

Alert firing(std::string name, std::string severity, std::string cause = "") {
  Alert made;
  made.name = std::move(name);
  made.severity = std::move(severity);
  made.cause = std::move(cause);
  made.labels = {{"gpu", "6"}, {"uuid", "GPU-6"}};
  made.phase = Phase::firing;
  return made;
}

Alert resolved(Alert alert) {
  alert.phase = Phase::resolved;
  alert.reason = "it was";
  return alert;
}

// The incidents in the ledger, oldest first: "NAME/SEVERITY", with the reason of those that have ended.
std::vector<std::string> incidents(const Ledger& ledger) {
  std::vector<std::string> all;
  for (const auto& [key, text] : ledger.states("outbox/")) {
    const std::optional<Incident> kept = incident_from(text);
    REQUIRE(kept);
    const bool open = kept->alert.phase == Phase::firing;
    all.push_back(kept->alert.name + '/' + kept->alert.severity + (open ? "" : " ended: " + kept->alert.reason));
  }
  return all;
}

using Incidents = std::vector<std::string>;

}  // namespace

TEST_CASE("dispatch: {hostname} and {port} in external labels") {
  CHECK(filled_in("{hostname}:{port}", "node1", "10190") == "node1:10190");
  CHECK(filled_in("{port}{port}/plain", "node1", "1") == "11/plain");
  CHECK(filled_in("{hostname}", "{port}", "1") == "1");
}

TEST_CASE("dispatch: counters per receiver; two of one host have a number, and a removed one has none") {
  Fixture test;
  Dispatch dispatch(test.parts());
  dispatch.configure(to_webhooks({"not a URL", "http://h:1/a?secret", "http://h:1/b?secret"}), "");
  dispatch.start({firing("Hot", "warning")});
  dispatch.tick();
  std::string text = test.text();
  for (const char* name : {"h:1", "h:1#2"})
    CHECK(text.find("perjoule_alert_notifications_pending{kind=\"webhook\",receiver=\"" + std::string(name) +
                    "\"} 1\n") != std::string::npos);
  CHECK(text.find("perjoule_http_client_kept_connections 0\n") != std::string::npos);
  CHECK(text.find("perjoule_http_client_limits_total{limit=\"retry_after\"} 0\n") != std::string::npos);
  CHECK(text.find("perjoule_alert_notifications_pending{kind=\"webhook\",receiver=\"unknown\"} 1\n") !=
        std::string::npos);
  CHECK(text.find("secret") == std::string::npos);
  dispatch.configure(to_webhooks({"http://h:1/a?secret"}), "");
  dispatch.tick();
  text = test.text();
  CHECK(text.find("pending{kind=\"webhook\",receiver=\"h:1\"} 1\n") != std::string::npos);
  CHECK(text.find("unknown") == std::string::npos);
}

TEST_CASE("dispatch: the ledger keeps undelivered alerts without URLs, and drops entries that cannot be read") {
  Fixture test;
  test.ledger.set_state("outbox/0000000000000007", "garbage");
  {
    Dispatch dispatch(test.parts());
    CHECK(test.ledger.states("outbox/").empty());
    dispatch.configure(to_webhooks({"http://h:1/secret"}), "");
    dispatch.update({}, {firing("Hot", "warning")});
  }
  const auto kept = test.ledger.states("outbox/");
  REQUIRE(kept.size() == 1);
  CHECK(kept.begin()->second.find("Hot") != std::string::npos);
  CHECK(kept.begin()->second.find("secret") == std::string::npos);
  Dispatch again(test.parts());
  again.configure(to_webhooks({"http://h:1/secret"}), "");
  again.tick();
  CHECK(test.text().find("pending{kind=\"webhook\",receiver=\"h:1\"} 1\n") != std::string::npos);
  again.start({});  // the rule was removed
  CHECK(test.ledger.states("outbox/").begin()->second.find("\"resolved\"") != std::string::npos);
}

TEST_CASE("dispatch: a graver alert of the cause ends the one before, which comes back when it is over") {
  Fixture test;
  Dispatch dispatch(test.parts());
  dispatch.configure(to_webhooks({"http://h:1/a"}), "");
  const Alert margin = firing("Margin", "warning", "heat");
  const Alert hardware = firing("Hardware", "critical", "heat");
  dispatch.start({margin});
  CHECK(incidents(test.ledger) == Incidents{"Margin/warning"});
  dispatch.update({}, {margin, hardware});
  const std::string ended = "Margin/warning ended: another alert of the same cause is sent in its place";
  CHECK(incidents(test.ledger) == Incidents{ended, "Hardware/critical"});
  const std::vector<Alert> over = {resolved(hardware)};
  dispatch.update(over, {margin});
  CHECK(incidents(test.ledger) == Incidents{ended, "Hardware/critical ended: it was", "Margin/warning"});
}

TEST_CASE("dispatch: info is not sent unless alerts.min_severity is info, also after a reload") {
  Fixture test;
  Dispatch dispatch(test.parts());
  config::Alerts settings = to_webhooks({"http://h:1/a"});
  dispatch.configure(settings, "");
  dispatch.start({firing("Denied", "info"), firing("Hot", "warning")});
  CHECK(incidents(test.ledger) == Incidents{"Hot/warning"});
  settings.min_severity = "info";
  dispatch.configure(settings, "");
  dispatch.update({}, {firing("Denied", "info"), firing("Hot", "warning")});
  CHECK(incidents(test.ledger) == Incidents{"Hot/warning", "Denied/info"});
  settings.min_severity = "critical";
  dispatch.configure(settings, "");
  dispatch.update({}, {firing("Denied", "info"), firing("Hot", "warning")});
  CHECK(incidents(test.ledger) ==
        Incidents{"Hot/warning ended: below alerts.min_severity", "Denied/info ended: below alerts.min_severity"});
}

TEST_CASE("dispatch: in a maintenance nothing is opened; afterwards what still fires is") {
  Fixture test;
  const Tree tree;
  Dispatch::Parts parts = test.parts();
  parts.directory = tree.root();
  const auto call = std::make_shared<fakes::HandLane::Call>();
  parts.make_lane = [call] { return std::make_unique<fakes::HandLane>(call); };
  Dispatch dispatch(parts);
  dispatch.configure(to_webhooks({"http://h:1/a"}), "");
  const Alert before = firing("Before", "warning");
  const Alert within = firing("Within", "warning");
  const Alert after = firing("After", "warning");
  dispatch.start({before});
  const auto look = [&] {
    dispatch.tick();
    call->finish();
    dispatch.tick();
  };
  const std::int64_t until_ms = start.wall_ms + 60'000;
  REQUIRE(write_maintenance(tree.at("maintenance.json"), {until_ms, "firmware"}).has_value());
  look();
  CHECK(test.text().find("perjoule_maintenance_active 1\n") != std::string::npos);
  CHECK(test.text().find("perjoule_maintenance_until_timestamp_seconds 1795514460\n") != std::string::npos);
  CHECK(dispatch.maintenance()->reason == "firmware");
  dispatch.update({}, {before, within});
  std::vector<Alert> over = {resolved(within)};
  dispatch.update(over, {before, after});
  CHECK(incidents(test.ledger) == Incidents{"Before/warning"});
  over = {resolved(before)};
  dispatch.update(over, {after});
  CHECK(incidents(test.ledger) == Incidents{"Before/warning ended: it was"});
  test.clock.run_until(start.steady_ns + 59 * nanoseconds_per_second);
  look();
  CHECK(incidents(test.ledger).size() == 1);
  test.clock.run_until(start.steady_ns + 60 * nanoseconds_per_second);
  look();
  CHECK(incidents(test.ledger) == Incidents{"Before/warning ended: it was", "After/warning"});
  CHECK(test.text().find("perjoule_maintenance_active 0\n") != std::string::npos);
  CHECK(test.text().find("perjoule_maintenance_until") == std::string::npos);
}

TEST_CASE("dispatch: a start in a maintenance keeps what was sent, and neither opens nor ends it before its end") {
  Fixture test;
  const Tree tree;
  {
    Dispatch dispatch(test.parts());
    dispatch.configure(to_webhooks({"http://h:1/a"}), "");
    dispatch.start({firing("Gone", "warning"), firing("Stays", "warning")});
  }
  Dispatch::Parts parts = test.parts();
  parts.directory = tree.root();
  const auto call = std::make_shared<fakes::HandLane::Call>();
  parts.make_lane = [call] { return std::make_unique<fakes::HandLane>(call); };
  REQUIRE(write_maintenance(tree.at("maintenance.json"), {start.wall_ms + 60'000, ""}).has_value());
  Dispatch dispatch(parts);
  dispatch.configure(to_webhooks({"http://h:1/a"}), "");
  dispatch.start({firing("Stays", "warning"), firing("New", "warning")});
  CHECK(incidents(test.ledger) == Incidents{"Gone/warning", "Stays/warning"});
  REQUIRE(*remove_maintenance(tree.at("maintenance.json")));
  dispatch.tick();
  call->finish();
  dispatch.tick();
  CHECK(incidents(test.ledger) == Incidents{"Gone/warning ended: no longer firing", "Stays/warning", "New/warning"});
}
