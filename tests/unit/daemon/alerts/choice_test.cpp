#include "daemon/alerts/choice.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>

namespace perjoule::alerts {
namespace {

Alert alert(std::string name, std::string severity, std::string cause, Labels labels) {
  Alert made;
  made.name = std::move(name);
  made.severity = std::move(severity);
  made.cause = std::move(cause);
  made.labels = std::move(labels);
  made.phase = Phase::firing;
  return made;
}

Labels gpu(const char* slot) {
  return {{"gpu", slot}, {"uuid", std::string("GPU-") + slot}};
}

std::vector<std::string> names(const std::vector<Alert>& alerts) {
  std::vector<std::string> all;
  for (const Alert& each : alerts)
    all.push_back(each.name + '/' + each.severity + '/' + subject(each).name);
  return all;
}

using Names = std::vector<std::string>;

TEST_CASE("one alert per GPU and cause: the gravest, else the first; other labels do not matter") {
  Labels with_reason = gpu("6");
  with_reason.emplace_back("reason", "hw_thermal");
  CHECK(names(choose({alert("Hardware", "critical", "heat", with_reason),
                      alert("Software", "warning", "heat", gpu("6")), alert("Margin", "warning", "heat", gpu("6")),
                      alert("Margin", "warning", "heat", gpu("7")), alert("Brake", "warning", "brake", gpu("6"))},
                     "warning")) == Names{"Hardware/critical/GPU-6", "Margin/warning/GPU-7", "Brake/warning/GPU-6"});
  CHECK(names(choose({alert("Software", "warning", "heat", gpu("6")), alert("Margin", "warning", "heat", gpu("6"))},
                     "warning")) == Names{"Software/warning/GPU-6"});
  // Levels of one rule: the critical one stands for the warning.
  CHECK(names(choose({alert("Brake", "warning", "brake", gpu("6")), alert("Brake", "critical", "brake", gpu("6"))},
                     "warning")) == Names{"Brake/critical/GPU-6"});
}

TEST_CASE("an alert of the node stands for those of every GPU, but for none that is graver") {
  CHECK(names(choose({alert("Hot", "warning", "heat", {}), alert("One", "critical", "heat", gpu("1")),
                      alert("Two", "warning", "heat", gpu("2")), alert("Two", "warning", "heat", gpu("3"))},
                     "warning")) == Names{"Hot/warning/", "One/critical/GPU-1"});
  // A GPU does not stand for the node.
  CHECK(names(choose({alert("One", "critical", "heat", gpu("1")), alert("Hot", "warning", "heat", {})}, "warning")) ==
        Names{"One/critical/GPU-1", "Hot/warning/"});
}

TEST_CASE("alerts without a cause are all sent, and info only if it is asked for") {
  const std::vector<Alert> firing = {alert("A", "warning", "", gpu("1")), alert("A", "critical", "", gpu("1")),
                                     alert("B", "info", "", gpu("1"))};
  CHECK(names(choose(firing, "info")).size() == 3);
  CHECK(names(choose(firing, "warning")) == Names{"A/warning/GPU-1", "A/critical/GPU-1"});
  CHECK(names(choose(firing, "critical")) == Names{"A/critical/GPU-1"});
}

TEST_CASE("an alert with empty GPU labels belongs to no GPU: the node does not stand for it") {
  const Labels fans = {{"device", "nct6779"}, {"gpu", ""}, {"uuid", ""}};
  const Labels disks = {{"device", "nvme0"}, {"gpu", ""}, {"uuid", ""}};
  CHECK(names(choose({alert("Lost", "critical", "gpu-lost", {}), alert("Stuck", "warning", "gpu-lost", fans),
                      alert("Stuck", "warning", "gpu-lost", disks), alert("Stuck", "warning", "gpu-lost", gpu("4"))},
                     "warning"))
            .size() == 3);
  CHECK(subject(alert("A", "info", "", {{"gpu", "3"}, {"uuid", ""}})).name == "gpu 3");
}

// Whatever fires, each GPU and cause has exactly one alert that is sent for it, its own or the node's.
TEST_CASE("random alerts: nothing that fires goes without an alert for its GPU and cause, and none has two") {
  std::mt19937_64 random(12);
  const auto pick = [&random](std::size_t below) { return random() % below; };
  for (int round = 0; round < 2'000; ++round) {
    std::vector<Alert> firing;
    for (std::size_t left = pick(14); left > 0; --left) {
      const std::string name = "Rule" + std::to_string(pick(4));
      const char* const severities[] = {"info", "warning", "critical"};
      const std::string slot = std::to_string(pick(4));
      firing.push_back(alert(name, severities[pick(3)], pick(2) == 0 ? "heat" : "brake",
                             pick(4) == 0 ? Labels{} : gpu(slot.c_str())));
    }
    const std::vector<Alert> sent = choose(firing, "info");
    std::set<std::pair<std::string, std::string>> subjects;
    for (const Alert& each : sent)
      CHECK(subjects.emplace(each.cause, subject(each).name).second);
    for (const Alert& each : firing) {
      const bool spoken_for = std::any_of(sent.begin(), sent.end(), [&](const Alert& other) {
        const std::string of = subject(other).name;
        return other.cause == each.cause && (of.empty() || of == subject(each).name) &&
               severity_rank(other.severity) >= severity_rank(each.severity);
      });
      CHECK(spoken_for);
    }
  }
}

}  // namespace
}  // namespace perjoule::alerts
