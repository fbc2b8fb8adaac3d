#include "daemon/alerts/notify/dispatch.hpp"

#include <doctest/doctest.h>

#include <string>

#include "tests/fakes/virtual_clock.hpp"

using namespace perjoule;
using namespace perjoule::alerts;

namespace {

constexpr Stamp start{1'000 * nanoseconds_per_second, 1'795'514'400'000};

struct Fixture {
  asio::io_context loop{1};
  fakes::VirtualClock clock{loop, start};
  Latest latest;
  SeriesTable series{
      100, [this](SeriesId id, const SeriesTable::Series& made) { latest.declare(id, *made.metric, made.labels); }};
  Ledger ledger{{}, "boot"};
  Log log{{config::LogLevel::error, config::LogFormat::logfmt}};

  Dispatch::Parts parts() {
    return {loop, clock, latest, series, ledger, log, [] { return std::unique_ptr<Lane>(); }, "1", "127.0.0.1:10190"};
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
  Alert alert;
  alert.name = "Hot";
  alert.phase = Phase::firing;
  dispatch.notify(alert);
  dispatch.show();
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
  dispatch.show();
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
    Alert alert;
    alert.name = "Hot";
    alert.phase = Phase::firing;
    dispatch.notify(alert);
  }
  const auto kept = test.ledger.states("outbox/");
  REQUIRE(kept.size() == 1);
  CHECK(kept.begin()->second.find("Hot") != std::string::npos);
  CHECK(kept.begin()->second.find("secret") == std::string::npos);
  Dispatch again(test.parts());
  again.configure(to_webhooks({"http://h:1/secret"}), "");
  again.show();
  CHECK(test.text().find("pending{kind=\"webhook\",receiver=\"h:1\"} 1\n") != std::string::npos);
  again.reconcile({});  // the rule was removed
  CHECK(test.ledger.states("outbox/").begin()->second.find("\"resolved\"") != std::string::npos);
}
