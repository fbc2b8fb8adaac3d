#include "daemon/efficiency/node_power.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>
#include <vector>

#include "collectors/gpu/metrics.hpp"
#include "collectors/power/metrics.hpp"
#include "daemon/record/series.hpp"

using namespace perjoule;

namespace {

constexpr std::int64_t second_ns = 1'000'000'000;
constexpr std::int64_t stale_ns = 10 * second_ns;

struct Part {
  SeriesId series;
  const Metric* metric;
  std::string labels;
  Origin origin;
};

Part package(unsigned id) {
  return {SeriesId{id}, &cpu_package_energy, label_values({std::to_string(id), "rapl"}), Origin::counter};
}
Part modelled(unsigned id) {
  return {SeriesId{id}, &cpu_package_energy, label_values({std::to_string(id), "modelled"}), Origin::modelled};
}
Part dram(unsigned id) {
  return {SeriesId{id}, &dram_energy, label_values({std::to_string(id)}), Origin::counter};
}
Part sensor(unsigned id, std::string_view role) {
  return {SeriesId{id}, &sensor_energy, label_values({"chip", "power" + std::to_string(id), role}), Origin::integrated};
}

void observe(NodePower& node, const Part& part, std::int64_t now_ns, std::optional<double> watts, std::int64_t booked,
             std::int64_t unobserved_us = 0) {
  node.observe(
      {part.series, part.metric, part.labels, part.origin, watts, booked, unobserved_us, now_ns, stale_ns, 1'000'000});
}

}  // namespace

TEST_CASE("each source is chosen by the readings that it needs") {
  const struct {
    std::vector<Part> parts;
    NodeSource source;
    Origin origin;
    double watts;
  } cases[] = {
      {{sensor(1, "node")}, NodeSource::meter, Origin::integrated, 100},
      {{sensor(1, "psu_in"), sensor(2, "psu_in")}, NodeSource::psu, Origin::integrated, 200},
      {{package(1), package(2), dram(3)}, NodeSource::sum, Origin::counter, 300},
      {{modelled(1), modelled(2)}, NodeSource::modelled, Origin::modelled, 200},
  };
  for (const auto& of : cases) {
    NodePower node;
    for (const Part& part : of.parts)
      observe(node, part, 0, 100, 1000);
    const auto derived = node.derive(0);
    REQUIRE(derived);
    CHECK(derived->best->source == of.source);
    CHECK(derived->best->watts == of.watts);
    CHECK(derived->by_origin[static_cast<std::size_t>(of.origin)] == std::optional(derived->booked));
    CHECK(derived->booked == static_cast<std::int64_t>(of.parts.size()) * 1000);
    CHECK(derived->readings.size() == 1);
  }
}

TEST_CASE("readings that belong to no source give no node power") {
  NodePower node;
  for (const char* role : {"cpu", "gpu", "psu_out", "nvme", "other", ""})
    observe(node, sensor(1, role), 0, 100, 1000);
  CHECK_FALSE(node.derive(0));
}

TEST_CASE("the node is derived when the last member of a tick is read, and with one reading less than all of them") {
  NodePower node;
  const auto tick = [&](std::int64_t second, std::initializer_list<unsigned> read) {
    std::vector<std::optional<double>> shown;
    for (const unsigned id : read) {
      observe(node, package(id), second * second_ns, 100.0 * static_cast<double>(second), 0);
      const auto derived = node.derive(second * second_ns);
      shown.push_back(derived ? std::optional(derived->best->watts) : std::nullopt);
    }
    return shown;
  };
  using Shown = std::vector<std::optional<double>>;
  CHECK(tick(0, {1, 2, 3}) == Shown{0, std::nullopt, std::nullopt});  // at first only one of them is known
  CHECK(tick(1, {3, 1, 2}) == Shown{std::nullopt, std::nullopt, 300});
  // The third one hangs: once the first one comes again nothing is waited for, and each second has one value.
  CHECK(tick(2, {1, 2}) == Shown{std::nullopt, std::nullopt});
  CHECK(tick(3, {1, 2}) == Shown{300 + 200 + 100, std::nullopt});
  CHECK(tick(4, {1, 2}) == Shown{400 + 300 + 100, std::nullopt});
  CHECK(tick(5, {1, 2, 3}) == Shown{500 + 400 + 100, std::nullopt, 500 + 500 + 500});
  CHECK(tick(6, {1, 2, 3}) == Shown{std::nullopt, std::nullopt, 1800});
}

TEST_CASE("after two readings of each member the power is known, whichever order they come in") {
  for (const bool swapped : {false, true}) {
    NodePower node;
    std::optional<NodePower::Derived> derived;
    for (int second = 0; second < 2; ++second) {
      for (const unsigned id : {swapped ? 2U : 1U, swapped ? 1U : 2U}) {
        observe(node, package(id), second * second_ns, second == 0 ? std::nullopt : std::optional(100.0), 0);
        derived = node.derive(second * second_ns);
      }
    }
    REQUIRE(derived);
    CHECK(derived->best->watts == 200);
  }
}

TEST_CASE("a modelled package that comes after the GPUs of its tick belongs to that tick") {
  NodePower node;
  const std::string labels = label_values({"0", "GPU-1"});
  node.observe({SeriesId{9}, &gpu_energy, labels, Origin::counter, 70, 0, 0, second_ns, stale_ns});
  CHECK(node.derive(second_ns)->best->source == NodeSource::sum);
  observe(node, modelled(3), second_ns, 5, 0);
  const auto derived = node.derive(second_ns);
  REQUIRE(derived);
  CHECK(derived->best->source == NodeSource::modelled);
  CHECK(derived->best->watts == 75);
  CHECK(derived->best_changed);
}

TEST_CASE("a GPU's power in the sum is its gauge where both were read together, else the mean of its counter") {
  NodePower node;
  const std::string labels = label_values({"0", "GPU-1"});
  const auto read = [&](std::int64_t now_ns, std::optional<double> gauge, std::optional<double> counted) {
    if (gauge) node.observe({SeriesId{8}, &gpu_power, labels, Origin::counter, gauge, 0, 0, now_ns, stale_ns});
    node.observe({SeriesId{9}, &gpu_energy, labels, Origin::counter, counted, 0, 0, now_ns, stale_ns});
    const auto derived = node.derive(now_ns);
    return derived ? std::optional(derived->best->watts) : std::nullopt;
  };
  CHECK(read(0, 70, std::nullopt) == 70);
  CHECK(read(second_ns, 70, 77) == 70);
  CHECK(read(2 * second_ns, std::nullopt, 77) == 77);
  CHECK_FALSE(read(3 * second_ns, std::nullopt, std::nullopt));
}

TEST_CASE("the node's energy is the sum of its members' to the microjoule, and derived once per period") {
  std::mt19937_64 random(41);
  NodePower node;
  std::int64_t members_uj = 0;
  std::int64_t node_uj = 0;
  std::int64_t now_ns = 0;
  int derivations = 0;
  for (int tick = 0; tick < 1000; ++tick) {
    now_ns += second_ns;
    // Two packages with their memory, each in its own probe, in either order, the second one sometimes late.
    const bool swapped = random() % 2 == 0;
    for (const unsigned probe : {swapped ? 1U : 0U, swapped ? 0U : 1U}) {
      if (probe == 1 && random() % 10 == 0) continue;
      for (const Part& part : {package(10 + probe), dram(20 + probe)}) {
        const auto booked = static_cast<std::int64_t>(random() % 400'000'000);
        members_uj += booked;
        observe(node, part, now_ns, static_cast<double>(booked) / 1e6, booked);
      }
      if (const auto derived = node.derive(now_ns)) {
        ++derivations;
        node_uj += derived->booked;
      }
    }
  }
  CHECK(derivations >= 900);
  CHECK(derivations <= 1010);
  // Energy after the last derivation is booked by the next one.
  for (const unsigned id : {10U, 10U}) {
    observe(node, package(id), now_ns + second_ns, 1, 0);
    if (const auto derived = node.derive(now_ns + second_ns)) node_uj += derived->booked;
  }
  CHECK(node_uj == members_uj);
}

TEST_CASE("a source has no power while a member has none, until that member is stale") {
  NodePower node;
  observe(node, package(1), 0, 100, 0);
  observe(node, package(2), 0, 50, 0);
  observe(node, modelled(3), 0, 300, 0);
  CHECK(node.derive(0)->best->source == NodeSource::sum);
  // After a reset the counter has no rate. A sum without it would show a drop in power that did not happen.
  observe(node, package(1), second_ns, std::nullopt, 0, 1'000'000);
  observe(node, package(2), second_ns, 50, 50);
  observe(node, modelled(3), second_ns, 300, 300);
  const auto without = node.derive(second_ns);
  REQUIRE(without);
  CHECK(without->best->source == NodeSource::modelled);
  CHECK(without->best_changed);
  CHECK(without->gone == std::vector<NodeSource>{NodeSource::sum});
  // A stale member no longer counts.
  const std::int64_t later = second_ns + stale_ns + 1;
  observe(node, package(2), later, 60, 60);
  observe(node, modelled(3), later, 300, 300);
  const auto rest = node.derive(later);
  REQUIRE(rest);
  CHECK(rest->best->source == NodeSource::sum);
  CHECK(rest->best->watts == 60);
}

TEST_CASE("when the source changes, energy is booked under the source that is best then, and no joule twice") {
  NodePower node;
  const Part meter = sensor(1, "node");
  std::int64_t booked[2] = {0, 0};
  for (int tick = 0; tick < 100; ++tick) {
    const std::int64_t now_ns = tick * second_ns;
    const bool metered = tick < 30 || tick >= 60;
    if (metered) observe(node, meter, now_ns, 500, 500);
    observe(node, package(2), now_ns, 100, 100);
    const auto derived = node.derive(now_ns);
    if (!derived) continue;
    booked[derived->best->source == NodeSource::meter ? 0 : 1] += derived->booked;
    if (derived->best->source == NodeSource::meter) CHECK(derived->readings.size() == 2);
  }
  // The meter leads in 70 ticks. While its last value is still fresh nothing is derived, then the packages lead.
  CHECK(booked[0] == 70 * 500);
  CHECK(booked[1] > 0);
  CHECK(booked[1] <= 30 * 100);
}

TEST_CASE("of several meters the largest is shown, one is booked, and another takes over when that one is stale") {
  NodePower node;
  observe(node, sensor(1, "node"), 0, 480, 480);
  observe(node, sensor(2, "node"), 0, 500, 500);
  const auto both = node.derive(0);
  REQUIRE(both);
  CHECK(both->best->watts == 500);
  CHECK(both->booked == 480);
  std::int64_t booked = 0;
  for (int tick = 1; tick <= 30; ++tick) {
    observe(node, sensor(2, "node"), tick * second_ns, 500, 500);
    if (const auto derived = node.derive(tick * second_ns)) booked += derived->booked;
  }
  // Nothing is derived until the first meter is stale; the second one then books all of that time.
  CHECK(booked == 30 * 500);
}

TEST_CASE("the node's gap is the longest gap of its members, only while their source is the best one") {
  NodePower node;
  observe(node, package(1), 0, 100, 0);
  observe(node, package(2), 0, 100, 0, 3'000'000);
  CHECK(node.derive(0)->unobserved_us == 3'000'000);
  observe(node, package(1), second_ns, 100, 0, 2'000'000);
  observe(node, package(2), second_ns, 100, 0);
  CHECK(node.derive(second_ns)->unobserved_us == 0);
  // Gaps of a meter from before it became the best source are not gaps of the node.
  observe(node, sensor(9, "node"), 2 * second_ns, 500, 0, 90'000'000);
  observe(node, package(1), 2 * second_ns, 100, 0);
  const auto changed = node.derive(2 * second_ns);
  REQUIRE(changed);
  CHECK(changed->best_changed);
  CHECK(changed->unobserved_us == 0);
  observe(node, sensor(9, "node"), 3 * second_ns, 500, 0, 1'000'000);
  CHECK(node.derive(3 * second_ns)->unobserved_us == 1'000'000);
}
