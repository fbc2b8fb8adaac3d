#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "config/json_reader.hpp"
#include "daemon/alerts/notice.hpp"
#include "daemon/alerts/notify/alertmanager.hpp"
#include "daemon/alerts/notify/webhook.hpp"

using namespace perjoule;
using namespace perjoule::alerts;

namespace {

const Labels external = {{"instance", "node1:10190"}, {"source", "perjouled"}};
const Links links = {"http://node1:10190", "https://example.org/{runbook}"};

Alert margin_low() {
  Alert alert;
  alert.name = "PerjouleGpuThermalMarginLow";
  alert.severity = "warning";
  alert.labels = {{"gpu", "0"}, {"uuid", "GPU-1"}};
  alert.phase = Phase::firing;
  alert.starts_ms = 1'795'514'400'250;  // 2026-11-24T10:00:00.25Z
  alert.summary = "GPU 0 is 4.5 °C below its slowdown temperature.";
  alert.runbook = "gpu-thermal-margin";
  return alert;
}

Alert ended(Alert alert) {
  alert.phase = Phase::resolved;
  alert.ends_ms = 1'795'516'200'000;  // 2026-11-24T10:30:00Z
  return alert;
}

// The payload that Alertmanager 0.25 posted to a webhook for the same labels, annotations and times (route.group_by
// ['...'], receiver "perjouled", --web.external-url=http://node1:10190), with the summary adapted.
const std::string labels_text =
    R"({"alertname":"PerjouleGpuThermalMarginLow","gpu":"0","instance":"node1:10190","severity":"warning",)"
    R"("source":"perjouled","uuid":"GPU-1"})";
const std::string annotations_text = R"({"runbook_url":"https://example.org/gpu-thermal-margin",)"
                                     R"("summary":"GPU 0 is 4.5 °C below its slowdown temperature."})";

std::string from_alertmanager(const std::string& status, const std::string& ends_at) {
  return R"({"receiver":"perjouled","status":")" + status + R"(","alerts":[{"status":")" + status + R"(","labels":)" +
         labels_text + R"(,"annotations":)" + annotations_text + R"(,"startsAt":"2026-11-24T10:00:00.25Z","endsAt":")" +
         ends_at + R"(","generatorURL":"http://node1:10190","fingerprint":"19a69263529ecf47"}],"groupLabels":)" +
         labels_text + R"(,"commonLabels":)" + labels_text + R"(,"commonAnnotations":)" + annotations_text +
         R"(,"externalURL":"http://node1:10190","version":"4","groupKey":)"
         R"("{}:{alertname=\"PerjouleGpuThermalMarginLow\", gpu=\"0\", instance=\"node1:10190\", )"
         R"(severity=\"warning\", source=\"perjouled\", uuid=\"GPU-1\"}","truncatedAlerts":0})";
}

std::string label(const Labels& labels, const std::string& name) {
  std::string found;
  for (const auto& [key, value] : labels) {
    if (key == name) found += value;
  }
  return found;
}

}  // namespace

TEST_CASE("webhook: the payload equals Alertmanager's byte for byte") {
  const Notice firing = make_notice(margin_low(), external, links, false);
  CHECK(webhook_body(firing, links.daemon) == from_alertmanager("firing", "0001-01-01T00:00:00Z"));
  const Notice resolved = make_notice(ended(margin_low()), external, links, true);
  CHECK(webhook_body(resolved, links.daemon) == from_alertmanager("resolved", "2026-11-24T10:30:00Z"));
}

TEST_CASE("webhook: the firing event of an ended incident does not contain its end") {
  const Notice notice = make_notice(ended(margin_low()), external, links, false);
  CHECK(webhook_body(notice, links.daemon) == from_alertmanager("firing", "0001-01-01T00:00:00Z"));
}

TEST_CASE("alertmanager: endsAt of a firing alert is the given time, of a resolved alert its end") {
  const std::vector<Notice> notices = {make_notice(margin_low(), external, links, false),
                                       make_notice(ended(margin_low()), external, links, true)};
  const std::string common = R"({"labels":)" + labels_text + R"(,"annotations":)" + annotations_text +
                             R"(,"startsAt":"2026-11-24T10:00:00.25Z","endsAt":")";
  const std::string behind = R"(","generatorURL":"http://node1:10190"})";
  CHECK(alertmanager_body(notices, 1'795'514'700'000, links.daemon) ==
        "[" + common + "2026-11-24T10:05:00Z" + behind + "," + common + "2026-11-24T10:30:00Z" + behind + "]");
  CHECK(alertmanager_body({}, 0, "") == "[]");
}

TEST_CASE("alertmanager: endsAt is never before startsAt, also after a clock step") {
  Alert early = ended(margin_low());
  early.ends_ms = early.starts_ms - 3'600'000;
  const std::vector<Notice> notices = {make_notice(margin_low(), {}, {}, false), make_notice(early, {}, {}, true)};
  const std::string body = alertmanager_body(notices, 0, "");
  std::size_t ends = 0;
  for (std::size_t at = body.find("endsAt"); at != std::string::npos; at = body.find("endsAt", at + 1)) {
    CHECK(body.compare(at, 34, R"(endsAt":"2026-11-24T10:00:00.25Z"})") == 0);
    ++ends;
  }
  CHECK(ends == 2);
  CHECK(body.find("generatorURL") == std::string::npos);
}

TEST_CASE("alertmanager: the API URL for a base with and without path and trailing slash") {
  CHECK(alertmanager_url("http://am:9093") == "http://am:9093/api/v2/alerts");
  CHECK(alertmanager_url("http://am:9093/") == "http://am:9093/api/v2/alerts");
  CHECK(alertmanager_url("https://host/am//") == "https://host/am/api/v2/alerts");
}

TEST_CASE("labels: alertname, severity and external labels keep their names; clashing labels become exported_") {
  Alert alert = margin_low();
  alert.labels = {{"empty", ""}, {"exported_severity", "taken"}, {"instance", "chip 3"}, {"severity", "corrected"}};
  const Labels labels = complete_labels(alert, {{"alertname", "forged"}, {"instance", "node1"}, {"none", ""}});
  const Labels expected = {{"alertname", "PerjouleGpuThermalMarginLow"},
                           {"exported_exported_severity", "corrected"},
                           {"exported_instance", "chip 3"},
                           {"exported_severity", "taken"},
                           {"instance", "node1"},
                           {"severity", "warning"}};
  CHECK(labels == expected);
}

TEST_CASE("labels: the same GPU on three hosts and two levels of one rule have different fingerprints") {
  std::vector<std::string> fingerprints;
  for (const char* host : {"a:1", "b:1", "c:1"})
    fingerprints.push_back(fingerprint(complete_labels(margin_low(), {{"instance", host}})));
  Alert critical = margin_low();
  critical.severity = "critical";
  fingerprints.push_back(fingerprint(complete_labels(critical, {{"instance", "a:1"}})));
  for (std::size_t i = 0; i < fingerprints.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j)
      CHECK(fingerprints[i] != fingerprints[j]);
  }
}

TEST_CASE("fingerprint: the values that Alertmanager 0.25 reports") {
  CHECK(
      fingerprint({{"alertname", "Sonderzeichen"}, {"sensor", "\xC3\xA4 \"quoted\" \\ back"}, {"severity", "info"}}) ==
      "b91b308045951f14");
  CHECK(fingerprint({}) == "cbf29ce484222325");
}

TEST_CASE("annotations: a reason only when resolved, a runbook only if page and URL pattern are known") {
  Alert alert = ended(margin_low());
  alert.reason = "no data";
  CHECK(label(make_notice(alert, {}, {}, true).annotations, "reason") == "no data");
  CHECK(label(make_notice(alert, {}, {}, false).annotations, "reason").empty());
  CHECK(label(make_notice(alert, {}, {}, true).annotations, "runbook_url").empty());
  CHECK(label(make_notice(alert, {}, {"", "https://w/{runbook}.md"}, true).annotations, "runbook_url") ==
        "https://w/gpu-thermal-margin.md");
  alert.runbook = "https://wiki.example/inlet";
  CHECK(label(make_notice(alert, {}, {}, true).annotations, "runbook_url") == alert.runbook);
  CHECK(label(make_notice(alert, {}, links, true).annotations, "runbook_url") == alert.runbook);
  alert.runbook.clear();
  CHECK(label(make_notice(alert, {}, links, true).annotations, "runbook_url").empty());
}

TEST_CASE("payloads are valid JSON for any label value") {
  Alert alert = margin_low();
  alert.summary = std::string("a\0b\n\x1F\x7F \xFF\xFE \"\\/ ", 14);
  alert.labels = {{"sensor", "\xF0\x9F\x94\xA5 \"x\"\\"}, {"z", std::string(10'000, '"')}};
  const Notice notice = make_notice(alert, external, links, false);
  const std::vector<Notice> notices = {notice};
  for (const std::string& body : {webhook_body(notice, links.daemon), alertmanager_body(notices, 0, links.daemon)}) {
    const config::json::Document document = config::json::read(body);
    CHECK(document.root.has_value());
    CHECK(document.problems.empty());
  }
}
